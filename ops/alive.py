"""Exit 0 when the server of this machine lives; standard library alone, for a health check.

It asks for life, not for readiness: a kill switch that was thrown is no reason to start it anew.
"""

import http.client
import os
import sys

connection = http.client.HTTPConnection(
    "127.0.0.1", int(os.environ.get("MLWB_PORT", "4010")), timeout=2
)
connection.request("GET", "/ml/health/live")
sys.exit(connection.getresponse().status != 200)
