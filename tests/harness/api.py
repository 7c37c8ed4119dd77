"""The REST API as one principal, over plain `requests`."""

import requests
from urllib3.util import Retry
from requests.adapters import HTTPAdapter


class Adapter(HTTPAdapter):
    """Connects with a TLS context of ours."""

    def __init__(self, context):
        self.context = context
        super().__init__(max_retries=Retry(0))

    def init_poolmanager(self, *args, **kwargs):
        super().init_poolmanager(*args, ssl_context=self.context, **kwargs)


class Api:
    """One principal's session. Every call says which status it expects."""

    def __init__(self, gateway, identity):
        self.gateway = gateway
        self.identity = identity
        self.session = requests.Session()
        # What is in the environment (proxies, .netrc, CA bundles) must not take part.
        self.session.trust_env = False
        self.session.cert = identity.pair
        self.session.verify = gateway.trust
        self.session.mount("https://", Adapter(gateway.context(identity)) if gateway.clock else HTTPAdapter(max_retries=Retry(0)))

    def request(self, method, path, **kwargs):
        kwargs.setdefault("timeout", 60)
        return self.session.request(method, self.gateway.url + path, **kwargs)

    def get(self, path, status=200, **kwargs):
        """GET, and the JSON of its answer."""
        return self._json("GET", path, status, **kwargs)

    def post(self, path, body=None, status=200, **kwargs):
        """POST of JSON, and the JSON of its answer."""
        return self._json("POST", path, status, json=body if body is not None else {}, **kwargs)

    def put(self, path, data, status=201, **kwargs):
        """PUT of bytes, and the JSON of its answer."""
        return self._json("PUT", path, status, data=data, **kwargs)

    def _json(self, method, path, status, **kwargs):
        response = self.request(method, path, **kwargs)
        wanted = status if isinstance(status, (tuple, set)) else (status,)
        assert response.status_code in wanted, f"{method} {path}: {response.status_code} {response.text[:2000]}"
        return response.json()

    def refused(self, method, path, status, code, **kwargs):
        """A call that must be refused, as a problem document (RFC 9457) of that code."""
        return problem(self.request(method, path, **kwargs), status, code)


def problem(response, status, code):
    """The problem document of a response that must be one."""
    told = f"{response.request.method} {response.url}: {response.status_code} {response.text[:2000]}"
    assert response.status_code == status, told
    assert response.headers["content-type"].split(";")[0] == "application/problem+json", response.headers
    document = response.json()
    assert document["code"] == code, told
    assert document["status"] == status and document["title"] and document["detail"] and document["type"], told
    return document
