//! Object storage for Aegis over the object_store crate: local, S3, GCS, Azure.
