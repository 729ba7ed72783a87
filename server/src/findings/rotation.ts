import type { FindingExplanation, FindingView } from '@keyward/contract'

/** Where the keys of a provider are revoked. Only addresses that the providers themselves document. */
const pages: Readonly<Record<string, string>> = {
  anthropic: 'https://console.anthropic.com/settings/keys',
  aws: 'https://console.aws.amazon.com/iam/home#/security_credentials',
  cloudflare: 'https://dash.cloudflare.com/profile/api-tokens',
  digitalocean: 'https://cloud.digitalocean.com/account/api/tokens',
  gcp: 'https://console.cloud.google.com/apis/credentials',
  github: 'https://github.com/settings/tokens',
  gitlab: 'https://gitlab.com/-/user_settings/personal_access_tokens',
  google: 'https://console.cloud.google.com/apis/credentials',
  huggingface: 'https://huggingface.co/settings/tokens',
  openai: 'https://platform.openai.com/api-keys',
  sendgrid: 'https://app.sendgrid.com/settings/api_keys',
  slack: 'https://api.slack.com/apps',
  stripe: 'https://dashboard.stripe.com/apikeys',
}

type About = Pick<FindingView, 'provider' | 'rule'> & { readonly inHistory: boolean }

/** How a key is changed, and what Keyward can do of it: at the provider, nothing yet. */
export function rotationOf({ provider, rule, inHistory }: About): FindingExplanation['rotation'] {
  const leaked = inHistory
    ? 'The git history shows the old one for ever: whoever has a copy of the repository has the key until it is revoked.'
    : 'Whoever could read the file may have the old one until it is revoked.'
  if (isDatabase(provider)) {
    return {
      automatic: false,
      steps: [
        'Move it into the vault: the file then holds a reference that stays the same.',
        'Change the password in the database, and write the new one to the same path of the vault.',
        "For PostgreSQL and Redis the vault's database engine can make passwords of its own and change them on a schedule, so that there is none to leak.",
        leaked,
      ],
      address: null,
    }
  }
  const issuer = isOwnKey(provider, rule)
    ? 'Make a new key pair'
    : 'Issue a new one where the old one was issued'
  return {
    automatic: false,
    steps: [
      'Move it into the vault: the file then holds a reference that stays the same.',
      `${issuer}, and write it to the same path of the vault.`,
      'Revoke the old one. Keyward cannot do that for you.',
      leaked,
    ],
    address: pages[provider] ?? null,
  }
}

const isDatabase = (provider: string): boolean => ['database', 'redis', 'mongodb'].includes(provider)
const isOwnKey = (provider: string, rule: string): boolean =>
  ['pem', 'putty', 'age', 'wireguard'].includes(provider) || /private-key/.test(rule)
