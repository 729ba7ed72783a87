// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are texts of other languages
// Lines without a key that could name what they hold.
import { alphabets, type Draw } from './draw.ts'
import { type Family, tuning, unseen } from './families.ts'
import type { Part } from './values.ts'

/** Credentials whose place says what they are, without a key. `%u` is a user. */
export const placed: readonly Family[] = [
  tuning(
    'database-url',
    'app.env config.py',
    ['DATABASE_URL=postgres://%u:%v@db.acme.internal:5432/shop', 'url = "mysql://%u:%v@10.2.3.4/shop"'],
    { not: ['phrase', 'weak', 'uuid'] },
  ),
  tuning('basic-url', 'deploy.sh', ['git clone https://%u:%v@git.acme.internal/shop.git'], {
    not: ['phrase', 'weak', 'uuid'],
  }),
  tuning('ado', 'appsettings.json', ['  "Default": "Server=db;Database=shop;User Id=%u;Password=%v;"'], {
    not: ['phrase', 'uuid'],
  }),
  tuning('curl-user', 'call.sh', ['curl -u %u:%v https://api.acme.internal/'], {
    not: ['phrase', 'weak', 'uuid'],
  }),
  unseen(
    'mongo-url',
    'db.go notes.txt',
    [
      'client := connect("mongodb+srv://%u:%v@cluster0.acme.internal/shop")',
      'amqp://%u:%v@mq.acme.internal:5672/',
    ],
    { not: ['phrase', 'weak', 'uuid'] },
  ),
  unseen(
    'jdbc',
    'persistence.xml Db.java',
    [
      'jdbc:mysql://db.acme.internal/shop?user=%u&password=%v&useSSL=true',
      'jdbc:sqlserver://db:1433;user=%u;password=%v;encrypt=true',
      'jdbc:oracle:thin:%u/%v@db.acme.internal:1521:shop',
    ],
    { not: ['phrase', 'weak', 'uuid'] },
  ),
  unseen('sql-user', 'init.sql', [
    "CREATE USER %u IDENTIFIED BY '%v';",
    "ALTER USER %u WITH PASSWORD '%v';",
    "GRANT ALL ON shop.* TO '%u'@'%' IDENTIFIED BY '%v';",
    "CREATE LOGIN %u WITH PASSWORD = '%v';",
  ]),
  unseen(
    'client-option',
    'backup.sh',
    [
      'mysql -u%u -p%v shop < dump.sql',
      'PGPASSWORD=%v psql -U %u shop',
      "sshpass -p '%v' ssh %u@db",
      'redis-cli -a %v ping',
      'mongo -u %u -p %v shop',
    ],
    { not: ['phrase', 'uuid'] },
  ),
  unseen('positional', 'mail.py Main.cs net.java', [
    'session.auth = ("%u", "%v")',
    '    Credentials = new NetworkCredential("%u", "%v");',
    'server.login("%u", "%v")',
    'DriverManager.getConnection(url, "%u", "%v");',
    "r = requests.get(url, auth=HTTPBasicAuth('%u', '%v'))",
    'mysqli_connect("localhost", "%u", "%v", "shop");',
  ]),
  unseen(
    'odbc',
    'report.py',
    [
      "pyodbc.connect('DRIVER={PG};SERVER=db;UID=%u;PWD=%v')",
      'psycopg2.connect("host=db dbname=shop user=%u password=%v")',
    ],
    { not: ['phrase', 'uuid'] },
  ),
  unseen(
    'chpasswd',
    'setup.sh',
    [
      'echo "%u:%v" | chpasswd',
      'htpasswd -bc /etc/nginx/.htpasswd %u %v',
      'net user %u %v /add',
      'docker login -u %u -p %v registry.acme.internal',
    ],
    { not: ['phrase', 'uuid'] },
  ),
]

/** Lines that name a secret, or hold something random, and hold no secret. `%r` is made by the class. */
type Innocent = {
  readonly class: string
  readonly part: Part
  readonly file: string
  readonly lines: readonly string[]
  readonly random?: (draw: Draw) => string
}
const hex = (length: number) => (draw: Draw) => draw.chars(alphabets.hex, length)
const base64 = (length: number) => (draw: Draw) => draw.chars(alphabets.base64, length)

export const innocents: readonly Innocent[] = [
  {
    class: 'code',
    part: 'tuning',
    file: 'src/auth.ts',
    lines: [
      'const token = await getToken(request1)',
      'const password = form.password.value2',
      "const apiKey = process.env['SHOP_API_KEY9']",
      'this.accessToken = response.data.accessToken1',
      "if (password.length < 12) throw new Error('Password too short')",
      'type Props = { password: string; token?: string }',
      "import { token } from './token-store2'",
      'const secretKey = crypto.randomBytes(32).toString("hex")',
    ],
  },
  {
    class: 'code',
    part: 'unseen',
    file: 'app/auth.py',
    lines: [
      'password = getpass.getpass("Password for db1: ")',
      'secret_key = secrets.token_urlsafe(32)',
      'token = jwt.encode(payload, settings.SECRET_KEY, algorithm="HS256")',
      'api_key = config.get("service", "api_key")',
      'def login(username: str, password: str) -> Token:',
      'self.password_field = forms.CharField(widget=forms.PasswordInput, max_length=128)',
      'api_key = request.headers.get("X-Api-Key-V2")',
      'assert user.check_password(password1)',
    ],
  },
  {
    class: 'code',
    part: 'unseen',
    file: 'internal/auth.go',
    lines: [
      'token := r.Header.Get("X-Auth-Token2")',
      'secret, err := client.Secrets(ns).Get(ctx, "db-credentials-v2", opts)',
      'password := os.Getenv("DB_PASSWORD2")',
      'flag.StringVar(&apiKey, "api-key", "", "API key of the v2 service")',
      'return fmt.Errorf("token %q expired at %s", id, t2)',
      'key := fmt.Sprintf("user:%d:token", id)',
      'const tokenHeader = "X-Shop-Token-V2"',
    ],
  },
  {
    class: 'code',
    part: 'unseen',
    file: 'Auth.java',
    lines: [
      'String password = env.getProperty("db.password2");',
      'private final PasswordEncoder passwordEncoder = new BCryptPasswordEncoder(12);',
      '@Column(name = "password_hash_v2", length = 60)',
      'String token = UUID.randomUUID().toString();',
      'props.put("sasl.mechanism", "SCRAM-SHA-512");',
      'SecretKeySpec key = new SecretKeySpec(bytes, "AES");',
      'throw new BadCredentialsException("Bad password for user1");',
    ],
  },
  {
    class: 'markup',
    part: 'tuning',
    file: 'login.html',
    lines: [
      '<input type="password" name="password" id="password1" class="form-control">',
      '<label for="password2">Password</label>',
      "$('#password3').val()",
    ],
  },
  {
    class: 'markup',
    part: 'unseen',
    file: 'Login.vue',
    lines: [
      '<v-text-field v-model="password" :rules="[rules.min8]" type="password" autocomplete="new-password" />',
      '<PasswordInput name="newPassword2" :error="errors.newPassword2" />',
      '.password-field__icon--2x { color: #aa3b4c; }',
      '<i18n-t keypath="auth.password.hint2" />',
      "document.querySelector('input[name=token2]')",
    ],
  },
  {
    class: 'settings',
    part: 'tuning',
    file: 'config.yaml',
    lines: [
      'password_min_length: 12',
      'token_ttl: 3600s',
      'max_tokens: 4096',
      'passwordPolicy: strict-v2',
      'secretName: shop-tls-2024',
      'token_url: https://id.acme.internal/oauth/token',
    ],
  },
  {
    class: 'settings',
    part: 'unseen',
    file: 'values.yaml',
    lines: [
      'existingSecret: shop-postgres-credentials-01',
      'passwordSecretKeyRef: db-password-v2',
      'tokenExpirationSeconds: 86400',
      'keyAlgorithm: RSA-4096',
      'imagePullSecrets: [registry-login-02]',
      'tokenReviewerServiceAccount: vault-auth2',
      'apiKeyHeaderName: X-Shop-Key-2',
      'sort_key: created_at_v2',
      'partitionKey: tenant#42',
      'encryption: AES256-GCM',
      'keyVaultName: kv-shop-prod-01',
      'secretProviderClass: azure-kv-shop2',
      'passwordFile: /etc/shop/pw2',
    ],
  },
  {
    class: 'public',
    part: 'tuning',
    file: 'keys.json',
    lines: ['  "public_key": "%r",', '  "publishableKey": "%r",'],
    random: base64(60),
  },
  {
    class: 'public',
    part: 'unseen',
    file: 'config/site.json',
    lines: [
      '  "siteKey": "6L%r",',
      '  "host_key_fingerprint": "SHA256:%r",',
      '  "pubkey": "%r",',
      '  "verifying_key": "%r",',
    ],
    random: base64(43),
  },
  {
    class: 'id',
    part: 'tuning',
    file: 'data.json',
    lines: [
      '  "id": "%r",',
      '  "client_id": "%r",',
      '  "etag": "%r",',
      '  "commit": "%r",',
      '  "cache_key": "%r",',
      '  "nextPageToken": "%r",',
    ],
    random: hex(40),
  },
  {
    class: 'id',
    part: 'unseen',
    file: 'export.json',
    lines: [
      '  "sha": "%r",',
      '  "key_id": "%r",',
      '  "request_id": "%r",',
      '  "token_hash": "%r",',
      '  "continuationToken": "%r",',
      '  "password_digest": "%r",',
      '  "salt": "%r",',
      '  "keyFingerprint": "%r",',
      '  "secret_version": "%r",',
      '  "checksum": "%r",',
      '  "tokenId": "%r",',
      '  "idempotencyKey": "%r",',
      '  "revision": "%r",',
      '  "thumbprint": "%r",',
    ],
    random: hex(32),
  },
  {
    class: 'data',
    part: 'tuning',
    file: 'src/icons.ts',
    lines: ["export const icon = 'data:image/png;base64,%r'", "  path: 'M%r',"],
    random: base64(180),
  },
  {
    class: 'data',
    part: 'unseen',
    file: 'vendor/wasm.js',
    lines: [
      'const wasm = "AGFzbQ%r";',
      '  hash: "%r",',
      '  integrity: "sha512-%r==",',
      '//# sourceMappingURL=data:application/json;base64,%r',
    ],
    random: base64(86),
  },
  {
    class: 'prose',
    part: 'tuning',
    file: 'README.md',
    lines: [
      'Set the `API_KEY` variable to the key of your account.',
      'password: the password of the database user',
      'The token=value form is deprecated in 2.0.',
    ],
  },
  {
    class: 'prose',
    part: 'unseen',
    file: 'docs/auth.md',
    lines: [
      '| `token` | string | The token that `login` returned (v2.1) |',
      'Pass `--password` and the name of a file, e.g. `--password=@file2`.',
      '* secret: used to sign cookies, at least 32 characters',
      'Authorization: Bearer <token>',
      'key: the primary key, default: id',
      'curl -u user:$TOKEN https://api.acme.internal',
      '-p, --password string   password of the registry (default "")',
      'export DB_PASSWORD=$(pass show shop/db2)',
    ],
  },
  {
    class: 'schema',
    part: 'tuning',
    file: 'openapi.yaml',
    lines: ['        password: { type: string, format: password }', '      in: header, name: X-Api-Key1'],
  },
  {
    class: 'schema',
    part: 'unseen',
    file: 'schema.sql',
    lines: [
      '  password varchar(255) NOT NULL,',
      '  api_token char(64) UNIQUE,',
      '  PRIMARY KEY (token_id2),',
      '  CONSTRAINT fk_token2 FOREIGN KEY (token_id) REFERENCES tokens(id),',
      "COMMENT ON COLUMN users.password IS 'bcrypt, cost 12';",
    ],
  },
]
