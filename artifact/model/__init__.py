"""The network that a manifest means, in torch: built from an artifact or trained into one.

    build.build(artifact, device=...) -> GPT          what a file means
    gpt.GPT(network, backbone_seed=...) -> GPT        a fresh one; initialise.initialise gives it its start
    scoring.for_scoring(gpt, dtype=...) -> Decoder    the same function, adapters merged, no autograd
    build.export(gpt) -> {name: float32 array}        what the quantiser takes

Every line of docs/format.md, "The network", stands here once; nothing here reads files, the environment or a clock.
"""
