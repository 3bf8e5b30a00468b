//! What `BuildKit` tells while it builds: the parts of `moby.buildkit.v1.StatusResponse`
//! (moby/buildkit, `api/services/control/control.proto`) that people are shown. The numbers are the protocol's.

/// Steps and what they said.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct StatusResponse {
    #[prost(message, repeated, tag = "1")]
    pub(super) vertexes: Vec<Vertex>,
    #[prost(message, repeated, tag = "3")]
    pub(super) logs: Vec<VertexLog>,
}

/// A step.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Vertex {
    #[prost(string, tag = "1")]
    pub(super) digest: String,
    #[prost(string, tag = "3")]
    pub(super) name: String,
    #[prost(message, optional, tag = "5")]
    pub(super) started: Option<Time>,
}

/// What a step said.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct VertexLog {
    #[prost(string, tag = "1")]
    pub(super) vertex: String,
    #[prost(bytes = "vec", tag = "4")]
    pub(super) msg: Vec<u8>,
}

/// A moment, in seconds since 1970.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(super) struct Time {
    #[prost(int64, tag = "1")]
    pub(super) seconds: i64,
}
