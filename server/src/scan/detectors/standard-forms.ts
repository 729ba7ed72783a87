import { classesIn, entropyOf } from '../checks.ts'
import type { Detector } from '../detector.ts'
import type { Confidence } from '../finding.ts'
import { isHarmless } from '../plausible.ts'

/** Forms that belong to no service: private keys, tokens that are signed JSON, addresses with a password in them. */
export const standardForms: readonly Detector[] = [
  {
    rule: 'json-web-token',
    provider: 'jwt',
    title: 'JSON Web Token',
    confidence: 'medium',
    keywords: ['eyJ'],
    pattern: /eyJ[A-Za-z0-9_-]{14,1000}\.eyJ[A-Za-z0-9_-]{14,4000}\.[A-Za-z0-9_-]{20,1000}/,
    reach: { before: 4, after: 6100 },
    judge: judgeJwt,
  },
  {
    rule: 'connection-string',
    provider: 'database',
    title: 'Connection string with a password',
    confidence: 'high',
    keywords: ['://'],
    leadsTo: '@',
    pattern:
      /(?:postgres(?:ql)?|mysql2?|mariadb|mongodb|rediss?|valkey|amqps?|mssql|sqlserver|oracle|cockroachdb|clickhouse|nats|ldaps?|smtps?|kafka|memcached|couchdb|neo4j|bolt)(?:\+[a-z0-9_]{1,20})?:\/\/[^\s"'<>`@/:?#\\]{0,64}:[^\s"'<>`@/\\]{1,200}@[^\s"'<>`,;)\]\\]{1,300}/i,
    reach: { before: 40, after: 600 },
    rank: 2,
    judge: judgeUrl,
  },
  {
    rule: 'basic-auth-url',
    provider: 'url',
    title: 'Address with a password in it',
    confidence: 'medium',
    keywords: ['://'],
    leadsTo: '@',
    pattern:
      /(?:https?|ftps?|sftp|ssh|git|wss?|svn)(?:\+[a-z0-9]{1,10})?:\/\/[^\s"'<>`@/:?#\\]{1,80}:[^\s"'<>`@/\\]{3,200}@[^\s"'<>`,;)\]\\]{3,300}/i,
    reach: { before: 40, after: 600 },
    rank: 2,
    judge: judgeUrl,
  },
  {
    rule: 'database-password',
    provider: 'database',
    title: 'Password in a connection string',
    confidence: 'high',
    keywords: ['password=', 'pwd='],
    pattern:
      /(?:server|data source|dbname|host|uid|user id|username|database|initial catalog)\s{0,2}=[^"'\r\n]{1,200}?[;\s]\s{0,2}(?:password|pwd)\s{0,2}=\s{0,2}(?<value>[^;"'\s<>{}]{4,128})/i,
    reach: { before: 260, after: 160 },
    rank: 2,
    judge: (value) => (isHarmless(value) ? false : undefined),
  },
  {
    rule: 'curl-password',
    provider: 'http',
    title: 'Password in a curl command',
    confidence: 'medium',
    keywords: ['curl '],
    pattern: /curl [^\r\n|;]{0,240}?(?:-u|--user)[ =]{0,3}["']?[^\s"':$]{1,64}:(?<value>[^\s"']{6,120})/,
    reach: { after: 460 },
    rank: 2,
    judge: (value) => (isHarmless(value) ? false : undefined),
  },
  {
    rule: 'login-password',
    provider: 'http',
    title: 'Password in a login command',
    confidence: 'medium',
    keywords: [' login '],
    pattern: / login [^\r\n|;]{0,160}?(?:-p|--password)[ =]{1,2}["']?(?<value>[^\s"'$<]{6,120})/,
    reach: { before: 4, after: 320 },
    rank: 2,
    judge: (value) => (isHarmless(value) || classesIn(value) < 2 ? false : undefined),
  },
  {
    rule: 'registry-auth',
    provider: 'docker',
    title: 'Container registry login',
    confidence: 'high',
    keywords: ['"auth"'],
    pattern: /"auth"\s{0,4}:\s{0,4}"(?<value>[A-Za-z0-9+/]{12,600}={0,2})"/,
    reach: { before: 4, after: 640 },
    rank: 2,
    judge: judgeLogin,
  },
  {
    rule: 'authorization-header',
    provider: 'http',
    title: 'Authorization header',
    confidence: 'medium',
    keywords: ['authorization'],
    pattern:
      /authorization\\?["']?\]?(?:[ \t]{0,5}[:=,][ \t]{0,5}|[ \t]{1,5})\\?["'`]?(?:Bearer|Token|Basic|ApiKey)[ \t]{1,3}(?<value>[A-Za-z0-9._~+/=-]{16,600})/i,
    reach: { after: 700 },
    rank: 1,
    judge: (value) => (isHarmless(value) || !/\d/.test(value) || entropyOf(value) < 3.2 ? false : undefined),
  },
]

type JwtParts = { header: unknown; payload: unknown }

function decodeJwt(value: string): JwtParts | undefined {
  const [header = '', payload = ''] = value.split('.')
  try {
    return {
      header: JSON.parse(Buffer.from(header, 'base64url').toString()),
      payload: JSON.parse(Buffer.from(payload, 'base64url').toString()),
    }
  } catch {
    return
  }
}

/** The token of jwt.io's front page stands in half of all documentation: its payload tells. */
function judgeJwt(value: string): Confidence | false {
  const parts = decodeJwt(value)
  if (!parts) return false
  const { payload, header } = parts
  if (typeof header !== 'object' || header === null || !('alg' in header)) return false
  if (typeof payload !== 'object' || payload === null) return false
  if ('name' in payload && payload.name === 'John Doe') return false
  return 'role' in payload && payload.role === 'service_role' ? 'high' : 'medium'
}

function judgeUrl(url: string): Confidence | false | undefined {
  const password = /:\/\/[^:]{0,80}:(?<password>[^@]{1,200})@/.exec(url)?.groups?.['password'] ?? ''
  const host = /@(?<host>[^/:?]{1,200})/.exec(url)?.groups?.['host'] ?? ''
  const user = /:\/\/(?<user>[^:]{0,80}):/.exec(url)?.groups?.['user'] ?? ''
  if (isHarmless(password) || /^[$%{<]|\$\{|\{\{|\+\s|%[sdv]$/.test(password)) return false
  if (
    /^(?:pass(?:word)?|pwd|pw|secret|token|x-oauth-basic|[a-z]{0,12}(?:password|passwd|secret)[a-z]{0,8}|\w{1,3})\d{0,3}$/i.test(
      password,
    )
  )
    return false
  if (password === user && /^[a-z]{1,12}$/.test(password)) return false
  return /^(?:localhost|127\.|\[?::1)/.test(host) ? 'low' : undefined
}

/** `user:password` in base64, as container tools keep it. */
function judgeLogin(value: string): false | undefined {
  const login = /^[\x21-\x7e]{1,100}?:(?<password>[\x20-\x7e]{4,600})$/.exec(
    Buffer.from(value, 'base64').toString('latin1'),
  )
  return login && !isHarmless(login.groups?.['password'] ?? '') ? undefined : false
}
