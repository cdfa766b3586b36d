"""`ctxeng playbook ...`: show, check, compare and change a playbook."""

from __future__ import annotations

import typer

from ctxeng.cli import playbook_change, playbook_export, playbook_lint, playbook_mark, playbook_show

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="Show, check, compare and change a playbook: a YAML file with a journal beside it.",
)
app.command("show")(playbook_show.show)
app.command("lint")(playbook_lint.lint)
app.command("diff")(playbook_show.diff)
app.command("log")(playbook_show.log)
app.command("stats")(playbook_show.stats)
app.command("undo")(playbook_change.undo)
app.command("rollback")(playbook_change.rollback)
app.command("mark")(playbook_mark.mark)
app.command("merge")(playbook_change.merge)
app.command("import")(playbook_change.import_file)
app.command("export")(playbook_export.export)
app.command("redact")(playbook_change.redact)
app.command("schema")(playbook_export.schema)
