//! What is asked and answered in a session: the parts that are used of `session/secrets/secrets.proto`,
//! `session/auth/auth.proto` and `session/upload/upload.proto` (moby/buildkit), and of gRPC's `health.proto`. The numbers are
//! the protocols'.

/// `moby.buildkit.secrets.v1.GetSecretRequest`
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct GetSecretRequest {
    #[prost(string, tag = "1")]
    pub(super) id: String,
}

/// `moby.buildkit.secrets.v1.GetSecretResponse`
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub(super) struct GetSecretResponse {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) data: prost::bytes::Bytes,
}

/// `moby.filesync.v1.CredentialsRequest`
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct CredentialsRequest {
    #[prost(string, tag = "1")]
    pub(super) host: String,
}

/// `moby.filesync.v1.CredentialsResponse`
#[derive(Clone, PartialEq, prost::Message)]
#[prost(skip_debug)]
pub(super) struct CredentialsResponse {
    #[prost(string, tag = "1")]
    pub(super) username: String,
    #[prost(string, tag = "2")]
    pub(super) secret: String,
}

/// `moby.upload.v1.BytesMessage`
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct BytesMessage {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) data: prost::bytes::Bytes,
}

/// `grpc.health.v1.HealthCheckResponse`
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(super) struct HealthCheckResponse {
    #[prost(int32, tag = "1")]
    pub(super) status: i32,
}
