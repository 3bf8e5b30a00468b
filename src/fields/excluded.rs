//! The flags of `docker run` that are no field of a container, each with the reason.

/// Flag and reason, sorted by flag.
pub const EXCLUDED: &[(&str, &str)] = &[
    ("--annotation", "not in the API that Invigil speaks (1.41, Docker 20.10); use labels"),
    ("--attach", "says what the docker command itself is connected to"),
    ("--cidfile", "says what the docker command itself writes; the name is the identity here"),
    (
        "--cpu-rt-period",
        "needs an engine started for it, and no kernel of the supported distributions has it",
    ),
    (
        "--cpu-rt-runtime",
        "needs an engine started for it, and no kernel of the supported distributions has it",
    ),
    ("--detach", "what Invigil starts is always detached"),
    ("--detach-keys", "says how the docker command itself is left"),
    ("--disable-content-trust", "a setting of the docker command's own pull"),
    ("--health-start-interval", "not in the API that Invigil speaks (1.41, Docker 20.10)"),
    ("--help", "not about a container"),
    ("--isolation", "Windows only"),
    ("--kernel-memory", "deprecated by Docker since 20.10, and ignored by kernels since 5.16"),
    ("--link-local-ip", "the engine gives it to containers by itself where a driver uses it"),
    ("--name", "metadata.name"),
    ("--pull", "pull.policy of an Image"),
    ("--quiet", "says what the docker command itself prints"),
    ("--rm", "contradicts being kept; state: completed is for what ends"),
    ("--sig-proxy", "says what the docker command itself passes on"),
    ("--use-api-socket", "gives a container the engine; bind the socket where that is meant"),
];
