"""HTTP: thin handlers that read a request, call one method and write the answer."""
