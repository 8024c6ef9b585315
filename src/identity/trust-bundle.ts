import { X509Certificate } from "node:crypto";

/**
 * Joins bundles of certificates in PEM (RFC 7468, section 5.1) to one: each certificate once, in the order of first appearance, in plain form. What is
 * no certificate is dropped: text around the blocks, private keys, other objects, and blocks that can't be parsed, with which some programs would
 * refuse the whole file. Empty if nothing is left. Takes time in proportion to the bundles, since those of an image may be anything.
 */
export function joinTrust(bundles: readonly string[]): string {
  const certificates = bundles.flatMap((bundle) => [...bundle.matchAll(BLOCK)]).map(([, body]) => readCertificate(body ?? ""));
  return [...new Set(certificates)].join("");
}

/**
 * The environment variables by which programs find a file of certificates that they trust, in PEM. Each program knows some and none knows all. Java
 * reads none of them: its trust store is a file of its own format, named with `-Djavax.net.ssl.trustStore`. Neither do programs that keep a
 * store of their own, such as Firefox and, on Linux, Chromium (NSS), nor Go programs that were given their own roots. `NODE_EXTRA_CA_CERTS` and
 * `DENO_CERT` add to the trusted certificates; the others replace them, so that the file has to hold those of the image too.
 */
export const TRUST_VARIABLES: readonly string[] = [
  "SSL_CERT_FILE", // OpenSSL and what is built on it: Python's ssl, Ruby, Perl, PHP; Go on Linux; rustls-native-certs (uv, rustup); curl
  "NIX_SSL_CERT_FILE", // OpenSSL, curl and git as Nix builds them
  "NODE_EXTRA_CA_CERTS", // Node.js, with npm, yarn and pnpm inside; Bun
  "npm_config_cafile", // npm, pnpm and yarn 1, in place of Node.js's own
  "YARN_HTTPS_CA_FILE_PATH", // yarn 2 and later: httpsCaFilePath
  "DENO_CERT", // Deno
  "REQUESTS_CA_BUNDLE", // Python's requests, which brings its own certificates (certifi), and what uses it, such as the Azure CLI
  "PIP_CERT", // pip, which brings its own certificates
  "HTTPLIB2_CA_CERTS", // Python's httplib2: older Google API clients
  "CURL_CA_BUNDLE", // curl; requests when REQUESTS_CA_BUNDLE is unset
  "GIT_SSL_CAINFO", // git over https
  "CARGO_HTTP_CAINFO", // cargo
  "BUNDLE_SSL_CA_CERT", // Ruby's bundler
  "AWS_CA_BUNDLE", // AWS CLI and SDKs: boto3, Go
  "CLOUDSDK_CORE_CUSTOM_CA_CERTS_FILE", // gcloud and gsutil
  "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH", // gRPC's C core: C++, Python, Ruby, PHP; grpc-js
  "COMPOSER_CAFILE", // PHP's composer
  "PERL_LWP_SSL_CA_FILE", // Perl's LWP
  "HEX_CACERTS_PATH", // Elixir's hex
  "JULIA_SSL_CA_ROOTS_PATH", // Julia's downloads and package manager
];

/** The body can't hold a dash, so that a `BEGIN` without its `END` is not searched for past the next one. */
const BLOCK = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]*)-----END CERTIFICATE-----/g;

/** The certificate as PEM without what followed it in the block; empty for what is none. */
function readCertificate(body: string): string {
  try {
    return new X509Certificate(Buffer.from(body, "base64")).toString();
  } catch {
    return "";
  }
}
