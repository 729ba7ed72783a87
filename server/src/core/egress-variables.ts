type Certificates = {
  /** Instead of what a program trusts otherwise. */
  readonly whole: string
  /** Beside it. */
  readonly added: string
  /** Hosts that are reached without the proxy; none when empty. */
  readonly direct: string
}

/**
 * By which variables programs find the egress proxy and its authority: curl, git, Node, Python, pip, Go and the AWS tools each
 * have their own. Paths are of PEM files.
 */
export function egressVariables(
  proxy: string,
  { whole, added, direct }: Certificates,
): Record<string, string> {
  return {
    HTTP_PROXY: proxy,
    HTTPS_PROXY: proxy,
    ALL_PROXY: proxy,
    http_proxy: proxy,
    https_proxy: proxy,
    all_proxy: proxy,
    NO_PROXY: direct,
    no_proxy: direct,
    NODE_USE_ENV_PROXY: '1',
    NODE_EXTRA_CA_CERTS: added,
    SSL_CERT_FILE: whole,
    CURL_CA_BUNDLE: whole,
    REQUESTS_CA_BUNDLE: whole,
    AWS_CA_BUNDLE: whole,
    GIT_SSL_CAINFO: whole,
    PIP_CERT: whole,
  }
}
