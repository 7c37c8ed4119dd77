//! gateway-cli
