"""OpenVINO: tracing functions of Keras tensors into its models, and running them.

`tracing` needs Keras on the openvino backend; `layout` and `running` need openvino alone.
"""
