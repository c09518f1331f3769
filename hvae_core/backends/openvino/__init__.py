"""OpenVINO: tracing functions of Keras tensors into its models, and running them."""
