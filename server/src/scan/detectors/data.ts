import { judgeEntropy } from '../checks.ts'
import { type Detector, prefixed } from '../detector.ts'

/** Databases, warehouses and the services around data. */
export const data: readonly Detector[] = [
  prefixed({
    rule: 'databricks-token',
    provider: 'databricks',
    title: 'Databricks token',
    keywords: ['dapi', 'dkea', 'dose'],
    pattern: /(?:dapi|dkea|dose)[0-9a-f]{32}(?:-\d{1,2})?/,
    judge: judgeEntropy(3),
  }),
  prefixed({
    rule: 'neon-api-key',
    provider: 'neon',
    title: 'Neon API key',
    keywords: ['napi_'],
    pattern: /napi_[a-z0-9]{64}/,
    judge: judgeEntropy(3.5),
  }),
  prefixed({
    rule: 'neon-role-password',
    provider: 'neon',
    title: 'Neon database password',
    keywords: ['npg_'],
    pattern: /npg_[A-Za-z0-9]{12,24}/,
    judge: judgeEntropy(3.2),
  }),
  prefixed({
    rule: 'supabase-token',
    provider: 'supabase',
    title: 'Supabase access token or secret key',
    keywords: ['sbp_', 'sb_secret_'],
    pattern: /sbp_(?:oauth_|v0_)?[0-9a-f]{40}|sb_secret_[A-Za-z0-9_-]{31,48}/,
  }),
  prefixed({
    rule: 'planetscale-token',
    provider: 'planetscale',
    title: 'PlanetScale token or password',
    keywords: ['pscale_'],
    pattern: /pscale_(?:tkn|pw|oauth)_[A-Za-z0-9=._-]{32,64}/,
  }),
  prefixed({
    rule: 'airtable-token',
    provider: 'airtable',
    title: 'Airtable personal access token',
    keywords: ['pat'],
    pattern: /pat[A-Za-z0-9]{14}\.[0-9a-f]{64}/,
  }),
  prefixed({
    rule: 'prefect-api-key',
    provider: 'prefect',
    title: 'Prefect API key',
    keywords: ['pnu_', 'pnb_'],
    pattern: /pn[ub]_[A-Za-z0-9]{36}/,
  }),
  prefixed({
    rule: 'dbt-token',
    provider: 'dbt',
    title: 'dbt Cloud token',
    keywords: ['dbtc_', 'dbtu_', 'dbts_'],
    pattern: /dbt[cus]_[A-Za-z0-9_-]{36,64}={0,2}/,
    judge: judgeEntropy(3.5),
  }),
  {
    rule: 'qdrant-api-key',
    provider: 'qdrant',
    title: 'Qdrant Cloud API key',
    confidence: 'high',
    keywords: ['qdrant'],
    pattern:
      /qdrant[\w.-]{0,30}["'\]]{0,2}[ \t]{0,5}[=:][ \t]{0,5}["']?(?<value>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\|[A-Za-z0-9_-]{60,90})/i,
    reach: { after: 180 },
  },
  prefixed({
    rule: 'confluent-secret',
    provider: 'confluent',
    title: 'Confluent Cloud API secret',
    keywords: ['cflt'],
    pattern: /cflt[A-Za-z0-9+/]{60}/,
  }),
  prefixed({
    rule: 'aiven-token',
    provider: 'aiven',
    title: 'Aiven service password',
    keywords: ['AVNS_'],
    pattern: /AVNS_[A-Za-z0-9_-]{16,24}/,
  }),
  {
    rule: 'algolia-admin-key',
    provider: 'algolia',
    title: 'Algolia admin API key',
    confidence: 'high',
    keywords: ['algolia'],
    pattern:
      /algolia[\w.-]{0,30}(?:admin|write|secret|api)[\w.-]{0,12}["'\]]{0,2}[ \t]{0,5}[=:][ \t]{0,5}["']?(?<value>[0-9a-f]{32})(?![\w-])/i,
    judge: judgeEntropy(3),
  },
]
