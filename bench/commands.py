"""``whep-avatar bench NAME``: reads arguments, runs one benchmark, prints its tables. What a benchmark needs (torch,
pictures) is imported when it runs, so that the command line starts quickly.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Final, TypeVar

import typer

from bench.arguments import Json, Rate, Size, check_marks, check_rate, parse_counts, shown_size
from whep_server.settings import Settings

app: Final = typer.Typer(no_args_is_help=True, add_completion=False)

MOST_FACES: Final = 32
"""The largest batch of ``avatar.engines.musetalk``."""
Result = TypeVar("Result")
Say = Callable[[str], None]


def say(step: str) -> None:
    """A line of progress; standard output is for figures."""
    typer.echo(f"[bench] {step}", err=True)


def show(measure: Callable[[Say], Result], as_text: Callable[[Result], str]) -> None:
    """Run a benchmark and print it. Ends the command where it fails."""
    from bench.processes import BenchFailed

    try:
        typer.echo(as_text(measure(say)))
    except BenchFailed as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


def read_settings() -> Settings:
    """Those of the operator, for a server on this machine alone."""
    return Settings.model_validate({"host": "127.0.0.1"})


@app.callback()
def bench() -> None:
    """Measure this machine and this version, beside what others do in the same run."""


@app.command("all")
def everything(
    json: Json = False,
    save: Annotated[Path | None, typer.Option(help="A file for the JSON, beside what is printed.")] = None,
    document: Annotated[
        Path | None, typer.Option(exists=True, help="A document with marks, between which the tables are put.")
    ] = None,
) -> None:
    """All live benchmarks in their short forms, and each target beside what was measured: about 20 minutes."""
    from bench import everything as measuring

    if document is not None:
        check_marks(document)

    def shown(result: measuring.AllFigures) -> str:
        if save is not None:
            save.write_text(measuring.as_json(result), encoding="utf-8")
        if document is not None:
            text = measuring.inserted(document.read_text("utf-8"), measuring.as_text(result))
            document.write_text(text, encoding="utf-8")
        return measuring.as_json(result) if json else measuring.as_text(result)

    show(lambda say: measuring.measure_all(read_settings(), say), shown)


@app.command()
def latency(
    rounds: Annotated[int, typer.Option(min=1, max=500, help="How often each way is tried.")] = 20, json: Json = False
) -> None:
    """When the first sound and the first moved lip reach a viewer, from the first byte of speech."""
    from bench import latency as measuring
    from bench import latency_report as report

    show(
        lambda say: measuring.measure_latency(read_settings(), rounds, say), report.as_json if json else report.as_text
    )


@app.command()
def interrupt(
    cuts: Annotated[int, typer.Option(min=3, max=10_000, help="Interruptions, all streams together.")] = 100,
    streams: Annotated[int, typer.Option(min=1, max=16, help="Streams that speak and are cut off.")] = 4,
    json: Json = False,
) -> None:
    """How soon an interruption is silence and a closed mouth at the receiver, and whether anything stale follows."""
    from bench import interruptions as measuring
    from bench import interruptions_report as report

    show(
        lambda say: measuring.measure_interruptions(read_settings(), cuts, streams, say),
        report.as_json if json else report.as_text,
    )


@app.command()
def sync(
    streams: Annotated[int, typer.Option(min=1, max=16, help="Streams that speak at once.")] = 8,
    seconds: Annotated[float, typer.Option(min=5, max=590, help="For how long.")] = 150,
    loss: Annotated[float, typer.Option(min=0, max=0.5, help="Part of the packets that receivers lose.")] = 0.02,
    json: Json = False,
) -> None:
    """How far sound and lips are apart at the receiver, and whether they drift, under load and loss."""
    from bench import av_sync as measuring
    from bench import sync_report as report

    plan = measuring.SyncPlan(streams, seconds, loss)
    show(lambda say: measuring.measure_sync(read_settings(), plan, say), report.as_json if json else report.as_text)


@app.command()
def sessions(
    streams: Annotated[str, typer.Option(help="Numbers of streams, with commas between.")] = "1,4,8,12,16",
    seconds: Annotated[float, typer.Option(min=1, max=500, help="For each number of streams.")] = 15,
    json: Json = False,
) -> None:
    """How many streams can speak at once before pictures stand still, and what each costs."""
    from bench import speaking_report as report
    from bench import speaking_streams as measuring

    counts = parse_counts(streams)
    show(
        lambda say: measuring.measure_speaking(read_settings(), counts, seconds, say),
        report.as_json if json else report.as_text,
    )


@app.command()
def preparing(
    streams: Annotated[int, typer.Option(min=1, max=16, help="Streams that speak.")] = 4,
    seconds: Annotated[float, typer.Option(min=1, max=500, help="For each way and round.")] = 15,
    rounds: Annotated[int, typer.Option(min=1, max=20, help="How often each way is measured, in turn.")] = 2,
    json: Json = False,
) -> None:
    """Whether streams that speak notice that an avatar is made of a video on the same server."""
    from bench import preparing as measuring
    from bench import preparing_report as report

    show(
        lambda say: measuring.measure_preparing(read_settings(), streams, seconds, rounds, say),
        report.as_json if json else report.as_text,
    )


@app.command()
def capacity(
    start: Annotated[int, typer.Option(min=0, help="Streams to begin with; 0: a guess from the cores.")] = 0,
    most: Annotated[int, typer.Option(min=1, max=10_000, help="More are not tried.")] = 1000,
    seconds: Annotated[float, typer.Option(min=1, max=500, help="For each number of streams.")] = 8,
    avatar: Annotated[str, typer.Option(help="Whose engine is measured; empty: the configured one's.")] = "",
    json: Json = False,
) -> None:
    """How many streams of the configured size can speak at once: kept in the cache, and held to by the server."""
    from bench import capacity_report as report
    from bench import speaking_capacity as measuring

    settings = read_settings()
    chosen = settings.model_copy(update={"avatar": avatar}) if avatar else settings
    plan = measuring.CapacityPlan(start, most, seconds)
    show(
        lambda say: measuring.measure_capacity(chosen, plan, say),
        report.as_json if json else report.as_text,
    )


@app.command()
def fanout(
    viewers: Annotated[str, typer.Option(help="Numbers of viewers, with commas between.")] = "1,50,150,300",
    seconds: Annotated[float, typer.Option(min=1, max=100, help="For each number of viewers.")] = 8,
    packets: Annotated[str, typer.Option(help="Viewers of aiortc that is given packets.")] = "1,25,50",
    encoding: Annotated[str, typer.Option(help="Viewers of aiortc that encodes for each.")] = "1,2",
    json: Json = False,
) -> None:
    """What one more viewer of a speaking stream costs, beside unmodified aiortc with a track a viewer."""
    from bench import fanout_cost as measuring
    from bench import fanout_report as report

    plan = measuring.FanoutPlan(seconds, parse_counts(viewers), parse_counts(packets), parse_counts(encoding))
    show(lambda say: measuring.measure_fanout(read_settings(), plan, say), report.as_json if json else report.as_text)


@app.command()
def mux(
    viewers: Annotated[str, typer.Option(help="Numbers of viewers, with commas between.")] = "1,100",
    seconds: Annotated[float, typer.Option(min=1, max=100, help="For each number of viewers.")] = 8,
    rounds: Annotated[int, typer.Option(min=1, max=20, help="How often each way is measured, in turn.")] = 2,
    json: Json = False,
) -> None:
    """What one more viewer costs where all share one UDP port, beside ports of their own."""
    from bench import mux_cost as measuring
    from bench import mux_report as report

    plan = measuring.MuxPlan(seconds, parse_counts(viewers), rounds)
    show(lambda say: measuring.measure_mux(read_settings(), plan, say), report.as_json if json else report.as_text)


@app.command()
def join(
    joins: Annotated[int, typer.Option(min=2, max=500, help="Of each kind of viewer, idle and speaking.")] = 20,
    storm: Annotated[int, typer.Option(min=2, max=400, help="Viewers that join all at once.")] = 100,
    json: Json = False,
) -> None:
    """How soon a viewer who asks sees a picture, by aiortc and by Chromium, and how many can ask at once."""
    from bench import join_report as report
    from bench import join_time as measuring

    show(
        lambda say: measuring.measure_joins(read_settings(), joins, storm, say),
        report.as_json if json else report.as_text,
    )


@app.command()
def soak(
    minutes: Annotated[float, typer.Option(min=0.5, max=10_000, help="For how long.")] = 60, json: Json = False
) -> None:
    """Whether memory, descriptors, tasks, threads or lip sync drift while much is said, cut off, watched and left."""
    from bench import soak as measuring
    from bench import soak_report as report

    show(lambda say: measuring.measure_soak(read_settings(), minutes, say), report.as_json if json else report.as_text)


@app.command()
def whip(
    rounds: Annotated[int, typer.Option(min=1, max=50, help="How often the sentence is said.")] = 3,
    json: Json = False,
) -> None:
    """How long after it was spoken a publisher's sound, and its lips, reach a viewer; beside a relay of the sound."""
    from bench import whip_delay as measuring
    from bench import whip_report as report

    show(lambda say: measuring.measure_whip(read_settings(), rounds, say), report.as_json if json else report.as_text)


@app.command()
def idle(
    viewers: Annotated[str, typer.Option(help="Numbers of viewers, with commas between.")] = "1,10,25",
    seconds: Annotated[float, typer.Option(min=0.5, help="For each number of viewers.")] = 20,
    size: Size = "1280x720",
    fps: Rate = 25,
    baseline_viewers: Annotated[int, typer.Option(min=0, max=16, help="Most viewers of the other server.")] = 4,
    json: Json = False,
) -> None:
    """What viewers of an idle avatar cost the server, beside a server where aiortc encodes for each of them."""
    from bench import idle_report as report
    from bench import idle_viewers as measuring

    shape = shown_size(read_settings(), size)
    plan = measuring.Plan(shape, fps, seconds, parse_counts(viewers), baseline_viewers)
    show(lambda say: measuring.measure_idle(plan, say), report.as_json if json else report.as_text)


@app.command()
def stages(
    size: Size = "1280x720",
    fps: Rate = 25,
    frames: Annotated[int, typer.Option(min=2, help="Frames that are measured.")] = 250,
    json: Json = False,
) -> None:
    """What each step of a live frame costs on one core, beside aiortc's own encoders."""
    from bench import stages as measuring
    from bench import stages_report as report

    settings = read_settings()
    shape = shown_size(settings, size)
    show(
        lambda _: measuring.measure_stages(settings.assets, settings.avatar, shape, fps, frames),
        report.as_json if json else report.as_text,
    )


@app.command()
def families(
    sessions: Annotated[str, typer.Option(help="Numbers of sessions, with commas between.")] = "1,8",
    rates: Annotated[str, typer.Option(help="Frames a second, with commas between.")] = "10,25",
    json: Json = False,
) -> None:
    """The original server's sessions, by WebRTC and as chunk files, side by side, beside its published figures."""
    from bench import session_families as measuring
    from bench import session_report as report

    plan = measuring.FamilyPlan(parse_counts(sessions), [check_rate(rate) for rate in parse_counts(rates)])
    show(lambda say: measuring.measure_families(read_settings(), plan, say), report.as_json if json else report.as_text)


@app.command()
def musetalk(
    batches: Annotated[str, typer.Option(help="Faces in a batch, with commas between; 32 at most.")] = "1,4,8,16,32",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, fp32, fp16 or bf16.")] = "auto",
    speedup: Annotated[str, typer.Option(help="none, graphs or compile; only on a GPU.")] = "none",
    tiny: Annotated[bool, typer.Option("--tiny", help="Tiny networks, to see that it works, also on a CPU.")] = False,
    seconds: Annotated[float, typer.Option(min=0, max=100, help="For each figure, and three times at least.")] = 2,
    json: Json = False,
) -> None:
    """How many faces a second MuseTalk's networks make, with random weights, beside the limit of the arithmetic."""
    counts = parse_counts(batches)
    if counts[-1] > MOST_FACES:
        raise typer.BadParameter(f"{counts[-1]} faces in a batch; {MOST_FACES} at most")
    try:
        from avatar.engines.musetalk.generator import Speedup
        from avatar.engines.musetalk.musetalk_engine import EngineOptions
        from bench import musetalk_report as report
        from bench import musetalk_speed as measuring
    except ImportError as error:
        typer.echo(f"{error}; pip install 'whep-avatar[musetalk]'", err=True)
        raise typer.Exit(1) from None
    try:
        plan = measuring.SpeedPlan(EngineOptions(device, precision, Speedup(speedup)), counts, tiny, seconds)
        plan.options.place()
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    show(lambda say: measuring.measure_speed(plan, say), report.as_json if json else report.as_text)


@app.command()
def avatars(json: Json = False) -> None:
    """What each avatar takes on disk and in memory, at the configured size, beside the targets."""
    from bench import avatar_sizes as measuring
    from bench import avatar_sizes_report as report

    show(lambda say: measuring.measure_sizes(read_settings(), say), report.as_json if json else report.as_text)


@app.command()
def lips(
    sentences: Annotated[int, typer.Option(min=1, help="At most so many of each kind of voice.")] = 100,
    weights: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Others than those that ship.")
    ] = None,
    json: Json = False,
) -> None:
    """How well the lips fit voices that they never heard: closure on p, b, m beside a mouth that follows loudness."""
    from avatar.engines.viseme.viseme_engine import WEIGHTS

    try:
        from bench import lip_measure as measuring
        from bench import lip_report as report
    except ImportError as error:
        typer.echo(f"{error}; it needs espeak-ng and a resampler: pip install 'whep-avatar[train]'", err=True)
        raise typer.Exit(1) from None
    chosen = weights or read_settings().assets / WEIGHTS
    show(lambda say: measuring.measure_lips(chosen, sentences, say), report.as_json if json else report.as_text)


@app.command("side-by-side")
def side_by_side(
    viewers: Annotated[str, typer.Option(help="Numbers of viewers, with commas between.")] = "1,2,16,64",
    seconds: Annotated[float, typer.Option(min=0.5, help="For each number of viewers.")] = 8,
    rivals: Annotated[Path, typer.Option(help="Where `make rivals` has put them.")] = Path(".cache/rivals"),
    janus: Annotated[Path | None, typer.Option(help="A folder made by tests/peers/forky.sh.")] = None,
    json: Json = False,
) -> None:
    """One avatar to ever more viewers, by this server and by what one would pick instead, on one core each."""
    from bench import side_by_side as measuring
    from bench import side_by_side_report as report

    plan = measuring.SidePlan(rivals, janus, seconds, parse_counts(viewers))
    show(
        lambda say: measuring.measure_side_by_side(read_settings(), plan, say),
        report.as_json if json else report.as_text,
    )
