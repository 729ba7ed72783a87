import type { Detector } from '../detector.ts'
import { judgeJwk, judgeOctetKey, judgePem, judgePutty, judgeSsh2 } from './key-material.ts'

const jwk = {
  rule: 'json-web-key',
  provider: 'jwk',
  title: 'Private JSON Web Key',
  confidence: 'high',
  rank: 4,
} as const

/** Private keys in the files and texts that hold them: each is looked into, words alone do not make a key. */
export const keyFiles: readonly Detector[] = [
  {
    rule: 'private-key',
    provider: 'pem',
    title: 'Private key',
    confidence: 'high',
    keywords: ['-----BEGIN '],
    pattern:
      /-----BEGIN (?:(?:RSA|DSA|EC|OPENSSH|ENCRYPTED|ANY|PGP) )?PRIVATE KEY(?: BLOCK)?-----[^"'<>`{}]{40,12000}?-----END (?:(?:RSA|DSA|EC|OPENSSH|ENCRYPTED|ANY|PGP) )?PRIVATE KEY(?: BLOCK)?-----/,
    reach: { before: 4, after: 12_200 },
    rank: 4,
    judge: judgePem,
  },
  {
    rule: 'putty-private-key',
    provider: 'putty',
    title: 'PuTTY private key',
    confidence: 'high',
    keywords: ['PuTTY-User-Key-File-'],
    pattern: /PuTTY-User-Key-File-[23]: [^"<>`{}]{100,8000}?Private-MAC: [0-9a-f]{40,64}/,
    reach: { before: 4, after: 8200 },
    rank: 4,
    judge: judgePutty,
  },
  {
    rule: 'ssh2-private-key',
    provider: 'ssh',
    title: 'Private key of SSH2',
    confidence: 'high',
    keywords: ['---- BEGIN SSH2 '],
    pattern:
      /(?<value>---- BEGIN SSH2 (?:ENCRYPTED )?PRIVATE KEY ----[^'<>`{}]{40,8000}?---- END SSH2 (?:ENCRYPTED )?PRIVATE KEY ----)/,
    reach: { before: 4, after: 8200 },
    rank: 4,
    judge: judgeSsh2,
  },
  {
    rule: 'openvpn-static-key',
    provider: 'openvpn',
    title: 'OpenVPN static key',
    confidence: 'high',
    keywords: ['-----BEGIN OpenVPN '],
    pattern:
      /-----BEGIN OpenVPN (?:Static key V1-----[\s\\n]{1,4}(?:[0-9a-f]{32}[\s\\n]{1,4}){16}|tls-crypt-v2 client key-----[A-Za-z0-9+/=\s\\]{100,4000}?)-----END OpenVPN (?:Static key V1|tls-crypt-v2 client key)-----/,
    reach: { before: 4, after: 4200 },
    rank: 4,
  },
  {
    rule: 'openvpn-login',
    provider: 'openvpn',
    title: 'Password in an OpenVPN profile',
    confidence: 'high',
    keywords: ['<auth-user-pass>'],
    pattern: /<auth-user-pass>\s{1,4}[^\r\n<]{1,100}\r?\n(?<value>[^\s<]{1,128})\s{1,4}<\/auth-user-pass>/,
    reach: { after: 260 },
  },
  {
    ...jwk,
    keywords: ['"kty'],
    pattern:
      /\\?"kty\\?"\s{0,8}:\s{0,8}\\?"(?:RSA|EC|OKP)\\?"[^{}]{0,6000}?\\?"d\\?"\s{0,8}:\s{0,8}\\?"(?<value>[\w-]{40,1400})\\?"/,
    reach: { before: 4, after: 7600 },
    judge: judgeJwk,
  },
  {
    ...jwk,
    keywords: ['"kty'],
    pattern:
      /\\?"d\\?"\s{0,8}:\s{0,8}\\?"(?<value>[\w-]{40,1400})\\?"[^{}]{0,6000}?\\?"kty\\?"\s{0,8}:\s{0,8}\\?"(?:RSA|EC|OKP)\\?"/,
    reach: { before: 7600, after: 40 },
    judge: judgeJwk,
  },
  {
    ...jwk,
    keywords: ['"kty'],
    pattern:
      /\\?"kty\\?"\s{0,8}:\s{0,8}\\?"oct\\?"[^{}]{0,400}?\\?"k\\?"\s{0,8}:\s{0,8}\\?"(?<value>[\w-]{22,700})\\?"/,
    reach: { before: 4, after: 1200 },
    judge: judgeOctetKey,
  },
  {
    ...jwk,
    keywords: ['"kty'],
    pattern:
      /\\?"k\\?"\s{0,8}:\s{0,8}\\?"(?<value>[\w-]{22,700})\\?"[^{}]{0,400}?\\?"kty\\?"\s{0,8}:\s{0,8}\\?"oct\\?"/,
    reach: { before: 1200, after: 40 },
    judge: judgeOctetKey,
  },
]
