"""``whep-avatar bench NAME``: reads arguments, runs one benchmark, prints its tables. What a benchmark needs (torch,
pictures) is imported when it runs, so that the command line starts quickly.
"""

import re
from collections.abc import Sequence
from typing import Annotated, Final

import typer

from whep_server.settings import FRAME_RATES, Settings

app: Final = typer.Typer(no_args_is_help=True, add_completion=False)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")]


def parse_size(value: str) -> tuple[int, int]:
    """``1280x720`` as (width, height). Errors: typer.BadParameter."""
    match = re.fullmatch(r"(\d{2,4})x(\d{2,4})", value)
    if match is None:
        raise typer.BadParameter("WIDTHxHEIGHT is needed, as in 1280x720")
    return int(match[1]), int(match[2])


def parse_viewers(value: str) -> list[int]:
    """``1,10,25`` as ascending counts, each above 0. Errors: typer.BadParameter."""
    if re.fullmatch(r"[1-9]\d{0,3}(,[1-9]\d{0,3})*", value) is None:
        raise typer.BadParameter("numbers with commas between are needed, as in 1,10,25")
    return sorted({int(count) for count in value.split(",")})


def check_rate(fps: int) -> int:
    """One of the rates that streams have. Errors: typer.BadParameter."""
    if fps not in FRAME_RATES:
        raise typer.BadParameter(f"must be one of {', '.join(map(str, FRAME_RATES))}")
    return fps


Size = Annotated[str, typer.Option(metavar="WIDTHxHEIGHT", help="Size of the picture; the avatar must have it.")]
Rate = Annotated[int, typer.Option(callback=check_rate, help="Frames a second: 10, 15, 20, 25 or 30.")]


@app.callback()
def bench() -> None:
    """Measure this machine and this version, beside what others do in the same run."""


@app.command()
def stages(
    size: Size = "1280x720",
    fps: Rate = 25,
    frames: Annotated[int, typer.Option(min=2, help="Frames that are measured.")] = 250,
    json: Json = False,
) -> None:
    """What each step of a live frame costs on one core, beside aiortc's own encoders."""
    from avatar.prepared import AvatarInvalid
    from bench.stages import measure_stages
    from bench.stages_report import as_json, as_text

    settings = Settings.model_validate({})
    try:
        result = measure_stages(settings.assets, settings.avatar, parse_size(size), fps, frames)
    except AvatarInvalid as error:
        raise typer.BadParameter(str(error)) from None
    typer.echo(as_json(result) if json else as_text(result))


def benchmarks() -> dict[str, str]:
    """Name of each benchmark and what it measures."""
    commands = [command.callback for command in app.registered_commands]
    return {found.__name__: (found.__doc__ or "").partition("\n")[0] for found in commands if found is not None}


def run(name: str, arguments: Sequence[str]) -> None:
    """Run one benchmark with its own arguments; ends the program with its exit status."""
    app(args=[name, *arguments], prog_name="whep-avatar bench")
