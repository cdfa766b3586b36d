"""`ctxeng` as a process of its own, with an encoder of hashed words instead of the real one."""

from dataclasses import replace

from ctxeng.cli.main import main
from ctxeng.retrieval.embed import HashingEmbedder
from ctxeng.settings_models import Makers

real = Makers.build


def build(makers, given, key):
    return real(replace(makers, encoder=HashingEmbedder()), given, key)


if __name__ == "__main__":
    Makers.build = build
    main()
