"""Envoy over gRPC: authorisation before a request, its access log afterwards, rate limits beside.

Needs the extra `gateway-guard[envoy]`. Nothing here imports grpcio but `server`.
"""
