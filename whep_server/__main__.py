"""The ``whep-avatar`` command: reads arguments, calls ``command``. ``python -m whep_server`` is the same."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from bench import commands as bench_commands
from whep_server import __version__, log
from whep_server.command.configuration import WrongSettings, as_toml, settings_given
from whep_server.settings import CONFIG_VARIABLE, Settings
from whep_server.signaling.tokens import Scope

DEFAULT_URL = "http://127.0.0.1:8000"
Token = Annotated[
    str,
    typer.Option(envvar="WHEP_AVATAR_TOKEN", show_default=False, help="Bearer token, where the server asks for one."),
]
"""Better in the environment than on the command line, which others on the machine can read."""

app = typer.Typer(
    name="whep-avatar",
    help="A live talking avatar that any WebRTC player can watch: speech in, a lip-synced face out over WHEP.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

app.add_typer(bench_commands.app, name="bench")


def say_line(text: str) -> None:
    """A line of progress, at once also where standard output is a pipe."""
    print(f"[server] {text}", flush=True)  # noqa: T201  the command speaks to a person here


def stop(message: str, status: int = 2) -> typer.Exit:
    """Say why the command cannot go on."""
    typer.secho(message, fg="red", err=True)
    return typer.Exit(status)


def read_settings(**given: object) -> Settings:
    """The settings; what was ``given`` on the command line wins. Ends the command where they are wrong."""
    try:
        return settings_given(**given)
    except WrongSettings as error:
        raise stop("\n".join(["these settings are wrong:", *(f"  {wrong}" for wrong in error.wrong)])) from None


def print_version(wanted: bool) -> None:
    """``--version``."""
    if wanted:
        typer.echo(f"whep-avatar {__version__}")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[bool, typer.Option("--version", callback=print_version, is_eager=True, help="Show it.")] = False,
) -> None:
    """A live talking avatar that any WebRTC player can watch."""


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="TCP port; 0 takes a free one.")] = None,
    udp_port: Annotated[
        int | None, typer.Option(help="One UDP port for all media, 8443 off loopback; 0: each its own.")
    ] = None,
    stream: Annotated[str | None, typer.Option(help="Name of the stream put on air; empty for none.")] = None,
    avatar: Annotated[str | None, typer.Option(help="Its avatar.")] = None,
    size: Annotated[str | None, typer.Option(help="Its picture, WIDTHxHEIGHT.")] = None,
    fps: Annotated[int | None, typer.Option(help="Its frames a second: 10, 15, 20, 25 or 30.")] = None,
    bitrate: Annotated[int | None, typer.Option(help="Its picture bitrate, bits a second.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Where encoded idle loops are kept.")] = None,
    base_path: Annotated[str | None, typer.Option(help="Path prefix that a reverse proxy strips.")] = None,
    public_url: Annotated[str | None, typer.Option(help="Address that clients use, https://…")] = None,
    tls_certificate: Annotated[
        Path | None, typer.Option(help="HTTPS: PEM file with the certificate and those that signed it.")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(help="PEM file with its private key, where it is another one.")
    ] = None,
    insecure: Annotated[
        bool | None, typer.Option("--insecure", help="Serve on any address though no token is asked for.")
    ] = None,
    log_level: Annotated[str | None, typer.Option(help="DEBUG, INFO, WARNING or ERROR.")] = None,
    log_json: Annotated[bool | None, typer.Option("--log-json", help="One JSON object a log line.")] = None,
    print_settings: Annotated[bool, typer.Option("--print-settings", help="Print all settings and end.")] = False,
) -> None:
    """Put an avatar on air and serve it, until Ctrl-C or SIGTERM.

    Every setting can be given as an environment variable WHEP_AVATAR_… or in the TOML file named by WHEP_AVATAR_CONFIG.
    """
    width, height = parse_size(size)
    settings = read_settings(
        host=host,
        port=port,
        udp_port=udp_port,
        demo_stream=stream,
        avatar=avatar,
        width=width,
        height=height,
        fps=fps,
        bitrate_bps=bitrate,
        cache=cache,
        public_base_path=base_path,
        public_url=public_url,
        tls_certificate=tls_certificate and str(tls_certificate),
        tls_key=tls_key and str(tls_key),
        insecure=insecure,
        log_level=log_level and log_level.upper(),
        log_json=log_json,
    )
    if print_settings:
        typer.echo(
            f"# Read from the environment as WHEP_AVATAR_NAME, or from a file like this named by {CONFIG_VARIABLE}."
        )
        typer.echo(as_toml(settings))
        return
    start(settings)


def start(settings: Settings) -> None:
    """Serve; what it needs is loaded only now, so that the other commands start quickly."""
    from whep_server.command import serve as serving
    from whep_server.command.certificate import WrongCertificate
    from whep_server.live.registry import open_registry
    from whep_server.rtc.shared_port import PortTaken
    from whep_server.tracing.endpoint import TracingMissing

    log.configure(settings.log_level, as_json=settings.log_json)
    try:
        serving.serve(settings, open_registry, say_line)
    except (serving.Exposed, WrongCertificate, TracingMissing) as error:
        raise stop(str(error)) from None
    except serving.PortTaken as error:
        raise stop(f"{error}\nanother one: whep-avatar serve --port 0", 1) from None
    except PortTaken as error:
        raise stop(str(error), 1) from None


def parse_size(size: str | None) -> tuple[int | None, int | None]:
    """``1280x720`` in numbers."""
    if size is None:
        return None, None
    width, _, height = size.lower().partition("x")
    if not (width.isdecimal() and height.isdecimal()):
        raise stop(f"--size {size}: must be WIDTHxHEIGHT, as in 1280x720")
    return int(width), int(height)


@app.command()
def say(
    stream: Annotated[str, typer.Argument(help="A stream on air.")],
    file: Annotated[
        Path | None, typer.Argument(help="An audio file of any usual kind; - reads standard input.")
    ] = None,
    text: Annotated[str | None, typer.Option(help="Text for the server to read aloud, instead of a file.")] = None,
    rate: Annotated[
        int | None, typer.Option(help="The file is bare samples, 16 bit, little endian, so many a second.")
    ] = None,
    channels: Annotated[int, typer.Option(help="Of bare samples: 1 or 2.")] = 1,
    url: Annotated[str, typer.Option(help="Address of the server.")] = DEFAULT_URL,
    token: Token = "",
) -> None:
    """Have a stream speak an audio file, samples, or text, and wait until it is spoken."""
    from whep_server.command import say as saying

    source = file if text is None else text
    if source is None or (file is not None and text is not None):
        raise stop("name either a file or --text")
    if text is not None and rate is not None:
        raise stop("--rate belongs to a file")
    samples = None if rate is None else saying.Samples(rate, channels)
    raise typer.Exit(saying.run(saying.Target(url, stream, token), source, samples))


@app.command()
def interrupt(
    stream: Annotated[str, typer.Argument(help="A stream on air.")] = "demo",
    url: Annotated[str, typer.Option(help="Address of the server.")] = DEFAULT_URL,
    token: Token = "",
) -> None:
    """Have a stream fall silent."""
    from whep_server.command import say as saying

    raise typer.Exit(saying.interrupt(saying.Target(url, stream, token)))


@app.command()
def token(
    scope: Annotated[list[Scope], typer.Option(help="What it allows; may be given more than once.")],
    stream: Annotated[str, typer.Option(help="The stream it is for; * for all, lobby-* for those that begin so.")],
    minutes: Annotated[float, typer.Option(min=0.1, max=5_256_000, help="How long it is good.")] = 60.0,
    link: Annotated[bool, typer.Option("--link", help="Print the player's address with the token in it.")] = False,
) -> None:
    """Print a token, signed with the first secret of WHEP_AVATAR_TOKEN_SECRETS."""
    from whep_server.command import issue

    settings = read_settings()
    try:
        signed = issue.signed(settings, scope, stream, minutes)
        typer.echo(issue.link(settings, stream, signed) if link else signed)
    except issue.NoSecretError as error:
        raise stop(str(error)) from None
    except ValueError as error:
        raise stop(f"--stream {stream}: {error}") from None


class PreparedFor(StrEnum):
    """Engines that avatars are prepared for."""

    VISEME = "viseme"
    MUSETALK = "musetalk"


@app.command()
def prepare(
    video: Annotated[
        Path, typer.Argument(help="A video or photo of a face, seen from the front, mouth shut; its first 10 s count.")
    ],
    name: Annotated[str, typer.Option(help="Name of the avatar: letters, digits, dots, dashes, underscores.")],
    title: Annotated[str, typer.Option(help="What a person reads; the name where it is empty.")] = "",
    engine: Annotated[
        PreparedFor, typer.Option(help="Who moves its mouth: viseme, on a CPU; or MuseTalk's networks, on a GPU.")
    ] = PreparedFor.VISEME,
    landmarks: Annotated[
        Path | None, typer.Option(help="JSON file with points of the face; see docs/avatars.md. Else it is searched.")
    ] = None,
    size: Annotated[str | None, typer.Option(help="The picture it is made for, WIDTHxHEIGHT, beside 512x512.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Make it anew where it is there already.")] = False,
) -> None:
    """Make an avatar of a video or photo (experimental). A server that is running shows it after its next start."""
    from whep_server.command import prepare_video

    width, height = parse_size(size)
    settings = read_settings(width=width, height=height)
    wanted = prepare_video.Wanted(video, name, title, engine.value, landmarks, replace)
    raise typer.Exit(prepare_video.run(settings, wanted))


@app.command()
def adopt(
    directory: Annotated[Path, typer.Argument(help="Its directory, as results/v15/avatars/NAME.")],
    name: Annotated[str, typer.Option(help="Name of the avatar: letters, digits, dots, dashes, underscores.")],
    title: Annotated[str, typer.Option(help="What a person reads; its old id where it is empty.")] = "",
    size: Annotated[str | None, typer.Option(help="The picture it is for, WIDTHxHEIGHT, beside its own.")] = None,
    latents: Annotated[
        bool, typer.Option("--latents", help="Make its latents anew, without the flicker: by MuseTalk's VAE.")
    ] = False,
    replace: Annotated[bool, typer.Option("--replace", help="Put it in the place of one that is there.")] = False,
) -> None:
    """Bring an avatar that the MuseTalk API server has prepared into a tenth of its room, unchanged to the eye."""
    from whep_server.command import adopt_avatar

    width, height = parse_size(size)
    settings = read_settings(width=width, height=height)
    raise typer.Exit(adopt_avatar.run(settings, directory, name, title, anew=latents, replace=replace))


@app.command()
def api(
    json: Annotated[bool, typer.Option("--json", help="OpenAPI instead of Markdown.")] = False,
) -> None:
    """Describe the HTTP API: what docs/api.md holds."""
    from whep_server.command import api as describing

    typer.echo(describing.as_openapi() if json else describing.as_markdown(), nl=False)


@app.command()
def doctor(
    host: Annotated[str | None, typer.Option(help="As serve takes it, as are the next seven.")] = None,
    port: Annotated[int | None, typer.Option(help="TCP port.")] = None,
    public_url: Annotated[str | None, typer.Option(help="Address that clients use, https://…")] = None,
    tls_certificate: Annotated[Path | None, typer.Option(help="PEM file with the certificate.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM file with its key.")] = None,
    avatar: Annotated[str | None, typer.Option(help="Avatar of the stream put on air.")] = None,
    size: Annotated[str | None, typer.Option(help="Its picture, WIDTHxHEIGHT.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Where encoded idle loops are kept.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="One check alone; more than once for several.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON document instead of lines.")] = False,
) -> None:
    """Check every part of a server on this machine, with the settings that serve would use, and say what to do.

    Ends with 1 where something failed, with 0 where there are warnings at most.
    """
    from whep_server.command import doctor as checking

    if unknown := [name for name in only or [] if name not in checking.CHECKS]:
        raise stop(f"no such check: {', '.join(unknown)}; there are {', '.join(checking.CHECKS)}")
    width, height = parse_size(size)
    given = {"host": host, "port": port, "avatar": avatar, "width": width, "height": height, "cache": cache}
    given |= {"public_url": public_url, "tls_certificate": tls_certificate and str(tls_certificate)}
    given |= {"tls_key": tls_key and str(tls_key)}
    raise typer.Exit(checking.run(given, only or [], as_json=json))


def main() -> None:
    """Run the command."""
    app()


if __name__ == "__main__":
    main()
