// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are texts of other languages
// What secrets look like, and what only looks like them. Each part of the set has words of its own.
import { alphabets, type Draw } from './draw.ts'

export type Part = 'tuning' | 'unseen'

const nouns: Record<Part, string[]> = {
  tuning:
    'summer winter dragon shadow tiger falcon coffee rocket silver garden monkey pirate guitar purple thunder castle anchor pepper jasmine copper london berlin mustang phoenix willow biscuit charlie michael sophie daniel'.split(
      ' ',
    ),
  unseen:
    'autumn spring wizard ghost panther eagle espresso meteor golden orchard donkey sailor violin orange lightning fortress compass ginger marigold bronze madrid vienna corvette griffin maple pretzel oscar andreas julia martina'.split(
      ' ',
    ),
}

const leet = (word: string): string =>
  word.replace(/[aeio]/g, (char) => ({ a: '@', e: '3', i: '1', o: '0' })[char] ?? char)
const capital = (word: string): string => word.charAt(0).toUpperCase() + word.slice(1)
type Make = (draw: Draw, part: Part) => string

/** Ways in which people make up passwords. */
const human: Record<Part, Make[]> = {
  tuning: [
    (draw, part) =>
      `${capital(draw.pick(nouns[part]))}${1950 + draw.below(76)}${draw.pick(['', '!', '#', '$'])}`,
    (draw, part) => `${draw.pick(nouns[part])}${draw.below(1000)}`,
    (draw, part) => `${leet(draw.pick(nouns[part]))}${draw.pick(['!', '_', '.', '?'])}${draw.below(100)}`,
    (draw, part) => `${draw.pick(nouns[part])}${capital(draw.pick(nouns[part]))}${draw.below(100)}`,
    (draw) => draw.chars(alphabets.base62 + alphabets.symbols, 10 + draw.below(8)),
    (draw) =>
      `${draw.chars(alphabets.lower, 3)}${draw.chars(alphabets.digits, 4)}${draw.chars(alphabets.lower, 2)}`,
  ],
  unseen: [
    (draw, part) => `${draw.pick(nouns[part])}@${draw.below(10_000)}`,
    (draw, part) => `${draw.pick(['My', 'Our', 'The'])}${capital(draw.pick(nouns[part]))}${draw.below(100)}!`,
    (draw, part) => `${draw.below(100)}${capital(leet(draw.pick(nouns[part])))}${draw.below(10)}`,
    (draw, part) => `${draw.pick(nouns[part])}.${draw.pick(nouns[part])}.${draw.below(100)}`,
    (draw) => draw.chars(`${alphabets.base36}${alphabets.symbols}`, 9 + draw.below(9)),
    (draw) =>
      `${draw.chars(alphabets.upper, 2)}-${draw.chars(alphabets.digits, 3)}-${draw.chars(alphabets.lower, 4)}`,
  ],
}

const weak: Record<Part, Make[]> = {
  tuning: [
    (draw, part) => draw.pick(nouns[part]) + draw.pick(nouns[part]),
    (draw, part) => `${draw.pick(nouns[part])}${draw.pick(['x', '1', 'z'])}`,
  ],
  unseen: [(draw, part) => draw.pick(nouns[part]), (draw, part) => draw.pick(nouns[part]).toUpperCase()],
}

const phrase: Record<Part, Make> = {
  tuning: (draw, part) => Array.from({ length: 4 }, () => draw.pick(nouns[part])).join('-'),
  unseen: (draw, part) =>
    Array.from({ length: 3 + draw.below(2) }, () => draw.pick(nouns[part])).join(draw.pick([' ', '_', ''])),
}

const random: Record<Part, Make[]> = {
  tuning: [
    (draw) => draw.chars(alphabets.base62, 20 + draw.below(30)),
    (draw) => draw.chars(alphabets.hex, draw.pick([32, 40, 64])),
    (draw) => `${draw.chars(alphabets.base64, 43)}=`,
    (draw) => draw.chars(alphabets.base36, 24 + draw.below(12)),
  ],
  unseen: [
    (draw) => draw.chars(alphabets.url, 24 + draw.below(24)),
    (draw) => draw.chars(alphabets.hex, draw.pick([24, 48])).toUpperCase(),
    (draw) => `${draw.chars(alphabets.base64, 86)}==`,
    (draw) => Array.from({ length: 4 }, () => draw.chars(alphabets.base36, 5)).join('-'),
    (draw) => draw.chars(alphabets.base62, 14 + draw.below(5)),
  ],
}

export type SecretClass = 'human' | 'weak' | 'phrase' | 'random' | 'uuid'
const uuid = (draw: Draw): string =>
  `${draw.chars(alphabets.hex, 8)}-${draw.chars(alphabets.hex, 4)}-4${draw.chars(alphabets.hex, 3)}-a${draw.chars(alphabets.hex, 3)}-${draw.chars(alphabets.hex, 12)}`

export function makeSecret(draw: Draw, part: Part, kind: SecretClass): string {
  if (kind === 'uuid') return uuid(draw)
  if (kind === 'phrase') return phrase[part](draw, part)
  return draw.pick({ human, weak, random }[kind][part])(draw, part)
}

/** Values that stand where a secret would, and are none. */
export const notSecret: Record<string, Record<Part, Make[]>> = {
  placeholder: {
    tuning: [
      (draw) =>
        draw.pick([
          'changeme',
          'your-api-key-here',
          '<password>',
          'REPLACE_ME',
          'xxxxxxxxxxxx',
          'TODO',
          'YOUR_SECRET',
          '********',
          'example-token',
          'dummy',
          'secret',
          'not-set',
          '...',
        ]),
      (draw) => `your_${draw.pick(['token', 'password', 'secret'])}`,
    ],
    unseen: [
      (draw) =>
        draw.pick([
          'CHANGE-ME-PLEASE',
          'insert_token_here',
          '[REDACTED]',
          '{password}',
          'fill-in',
          'enter your key',
          'abc123',
          'XXXX-XXXX-XXXX',
          'fakepassword',
          'mysecretpassword',
          'password',
          'put-your-key-here',
          '<YOUR TOKEN>',
          'test1234',
          'hunter2-example',
          'topsecret',
        ]),
      (draw) => `<${draw.pick(['insert', 'add', 'set'])}-${draw.pick(['token', 'password'])}>`,
    ],
  },
  reference: {
    tuning: [
      (draw) =>
        draw.pick([
          '${DB_PASSWORD}',
          '{{ vault_db_password }}',
          '$API_TOKEN',
          'op://shop/db/password',
          'vault:secret/data/shop#key',
          '%DB_PASSWORD%',
          '${{ secrets.TOKEN }}',
          '#{ENV["X"]}',
        ]),
    ],
    unseen: [
      (draw) =>
        draw.pick([
          'ssm:/prod/db/password',
          '<%= ENV["TOKEN"] %>',
          '@Microsoft.KeyVault(SecretUri=https://a.vault.azure.net/secrets/b)',
          '$(cat /run/secrets/db)',
          '{{resolve:secretsmanager:prod/db:SecretString:password}}',
          'gcp:///projects/a/secrets/b',
          'env:DB_PASSWORD',
          '${var.token}',
          '{{ .Values.db.password }}',
          'arn:aws:secretsmanager:eu-west-1:012345678901:secret:shop',
          '$env:DB_PASS',
          'file:///run/secrets/db_pass',
          'secretref:db-password',
          'keyring:shop/db',
        ]),
    ],
  },
  hash: {
    tuning: [
      (draw) => `$2b$12$${draw.chars(alphabets.base62, 53)}`,
      (draw) => `sha256:${draw.chars(alphabets.hex, 64)}`,
    ],
    unseen: [
      (draw) =>
        `$argon2id$v=19$m=65536,t=3,p=4$${draw.chars(alphabets.base62, 22)}$${draw.chars(alphabets.base62, 43)}`,
      (draw) => `{SSHA}${draw.chars(alphabets.base62, 32)}`,
      (draw) => `pbkdf2:sha256:260000$${draw.chars(alphabets.base62, 16)}$${draw.chars(alphabets.hex, 64)}`,
      (draw) => `sha384-${draw.chars(alphabets.base64, 64)}`,
    ],
  },
  name: {
    tuning: [
      (draw) =>
        draw.pick([
          'user.password',
          'auth.password.required',
          'password-input',
          'API_KEY',
          'X-Api-Key',
          'prod/db/password',
          'db-credentials',
          'passwordField',
          'access_token',
          'PasswordInput',
          'com.shop.auth.TokenStore',
          'token_type',
          'new-password',
        ]),
    ],
    unseen: [
      (draw) =>
        draw.pick([
          'login.form.secret',
          'shop-api-token',
          'CLIENT_SECRET',
          'X-Auth-Token',
          'kube-system/registry-login',
          'tokenInput',
          'session_cookie',
          'OAuthTokenProvider',
          'org.acme.security.PasswordEncoder',
          'current-password',
          'auth:token:refresh',
          'id_token',
          'acme-prod-tls',
          'UserPasswordResetRequest',
          'btn-primary',
          'keyPressHandler',
          'db_user',
        ]),
    ],
  },
  words: {
    tuning: [
      (draw) =>
        draw.pick([
          'Enter your password',
          'Kennwort',
          'Contraseña',
          'Mot de passe',
          'Password is required',
          'Passwort vergessen?',
          'API key',
          'Invalid token',
          'The token has expired.',
        ]),
    ],
    unseen: [
      (draw) =>
        draw.pick([
          'Wachtwoord',
          'Hasło',
          'Please confirm the password',
          'Забыли пароль?',
          '비밀번호',
          'Set a new secret',
          'Clé secrète',
          'Senha incorreta',
          'Your session ended',
          'Passwords do not match',
          'Parola',
          'Kodeord',
          'Lösenord',
        ]),
    ],
  },
  enum: {
    tuning: [
      (draw) =>
        draw.pick([
          'bearer',
          'required',
          'hidden',
          'oauth2',
          'HS256',
          'string',
          'varchar(255)',
          'true',
          'password',
          'none',
          'jwt',
          'md5',
        ]),
    ],
    unseen: [
      (draw) =>
        draw.pick([
          'basic',
          'optional',
          'visible',
          'saml',
          'RS512',
          'SecureString',
          'nvarchar(64)',
          'disabled',
          'text',
          'scram-sha-256',
          'kubernetes',
          'refresh_token',
          'client_credentials',
          'aes-256-gcm',
          'ed25519',
          'argon2id',
          'interactive',
          'plaintext',
          'inherit',
          'peer',
          'Opaque',
          'boolean',
          'int64',
        ]),
    ],
  },
  path: {
    tuning: [
      (draw) =>
        draw.pick([
          '/run/secrets/db',
          './keys/server.pem',
          'https://id.shop.example/oauth/token',
          'config/master.key',
          '~/.ssh/id_ed25519',
        ]),
    ],
    unseen: [
      (draw) =>
        draw.pick([
          'C:\\secrets\\db.txt',
          'file:///etc/ssl/private/shop.key',
          'https://api.acme.example/v1/tokens',
          'certs/2024/tls.key',
          '/api/v2/auth/token/refresh',
          'shop.jks',
          'tokens.json',
          'https://login.acme.example/{tenant}/token',
          '../secrets/db-password.txt',
          '/var/lib/acme/.pgpass',
          's3://acme-bucket/keys/a.pem',
        ]),
    ],
  },
}
