"""`ctxeng` as a process of its own, with an encoder of hashed words instead of the real one."""

import ctxeng.settings
from ctxeng.cli.main import main
from ctxeng.retrieval.embed import HashingEmbedder

real = ctxeng.settings.build_model


def build_model(given, folder, _encoder, key):
    return real(given, folder, HashingEmbedder(), key)


if __name__ == "__main__":
    ctxeng.settings.build_model = build_model
    main()
