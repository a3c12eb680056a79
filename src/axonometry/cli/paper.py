"""``axonometry paper``."""

import typer

app = typer.Typer(no_args_is_help=True)


@app.command()
def ictai2021() -> None:
    """Later."""


@app.callback()
def _papers() -> None:
    """Papers."""
