"""schema: what an editor needs to check and complete the files of configs/iam."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from admin_sync.commands.arguments import command, group
from admin_sync.commands.options import Options
from admin_sync.console import DONE
from admin_sync.errors import Misconfigured
from admin_sync.load.document import FILES
from admin_sync.load.json_schema import file_name, published

app = group()

File = Annotated[str | None, typer.Argument(metavar="[FILE]", help="One of the files, such as roles.yaml.")]
Write = Annotated[Path | None, typer.Option("--write", metavar="DIR", help="Write every schema into this directory.")]


@command(app)
def schema(options: Options, *, file: File = None, write: Write = None) -> int:
    """Print the JSON schema of a configuration file, or write all of them for an editor."""
    texts = published()
    if file is not None:
        if file not in FILES:
            raise Misconfigured(f"there is no file {file}; the files are {', '.join(FILES)}")
        options.console.data(texts[file_name(file)])
        return DONE
    if write is None:
        listed = [{"file": name, "schema": file_name(name)} for name in FILES]
        if options.console.as_json:
            options.console.json(listed)
        else:
            options.console.data("".join(f"{one['file']}: {one['schema']}\n" for one in listed))
        return DONE
    write.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (write / name).write_text(text, encoding="utf-8")
        options.console.say(f"{write / name}")
    return DONE
