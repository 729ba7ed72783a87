// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are texts of other languages
// Families of templates: one way in which one language or tool writes a value. `%v` is where the value stands; `%K %k
// %c %P %d %o %H` are the name of its key in that place's own spelling. A family belongs to one part of the set.
import type { Part, SecretClass } from './values.ts'

export type Kind = 'password' | 'token'

/** Where a value can stand, be it a secret or not. */
export type Family = {
  readonly name: string
  readonly part: Part
  readonly files: readonly string[]
  readonly lines: readonly string[]
  /** What the key of these lines holds; both when absent. */
  readonly kind?: Kind
  /** Values that this place cannot hold as they are. */
  readonly not?: readonly SecretClass[]
}

/** What a place holds decides its words: a password of a person, or a token of a machine. */
export const secretNames: Record<Part, Record<Kind, string[]>> = {
  tuning: {
    password: [
      'db password',
      'password',
      'smtp password',
      'mysql root password',
      'redis password',
      'admin passwd',
      'user pwd',
      'db pass',
      'keystore password',
      'ftp password',
    ],
    token: [
      'api key',
      'api token',
      'client secret',
      'secret key',
      'access token',
      'jwt secret',
      'auth token',
      'session secret',
      'signing key',
      'encryption key',
      'webhook secret',
      'stripe secret key',
    ],
  },
  unseen: {
    password: [
      'pg password',
      'ldap bind password',
      'sa password',
      'truststore passphrase',
      'proxy pass',
      'login pwd',
      'service account password',
      'sftp passwd',
      'rabbitmq default pass',
      'wifi passphrase',
      'kennwort',
      'passwort',
      'contrasena',
      'bind credentials',
    ],
    token: [
      'acme api key',
      'bot token',
      'oauth client secret',
      'shared secret',
      'refresh token',
      'hmac key',
      'bearer token',
      'secret key base',
      'master key',
      'deploy key',
      'ingest token',
      'account key',
      'subscription key',
      'cookie secret',
      'app secret',
      'personal access token',
      'api auth',
    ],
  },
}

export const tuning = (
  name: string,
  files: string,
  lines: readonly string[],
  more: Partial<Family> = {},
): Family => ({ name, part: 'tuning', files: files.split(' '), lines, ...more })
export const unseen = (
  name: string,
  files: string,
  lines: readonly string[],
  more: Partial<Family> = {},
): Family => ({ name, part: 'unseen', files: files.split(' '), lines, ...more })
/** These places end a value at a blank or a symbol. */
const bare = { not: ['phrase'] } as const

export const families: readonly Family[] = [
  tuning('env', '.env .env.production', ['%K=%v', '%K="%v"', "export %K='%v'"], bare),
  tuning('yaml', 'config.yaml values.yml', ['  %k: %v', '  %c: "%v"', "  %d: '%v'"], bare),
  tuning('json', 'config.json settings.json', ['  "%c": "%v",', '  "%k": "%v"']),
  tuning('properties', 'application.properties', ['app.%o=%v', '%o = %v'], bare),
  tuning('toml', 'config.toml', ['%k = "%v"']),
  tuning('js', 'src/config.js src/db.ts', ["const %c = '%v'", '  %c: "%v",', '  this.%c = `%v`;']),
  tuning('python', 'settings.py app.py', ['%K = "%v"', "    '%k': '%v',", 'client = Client(%k="%v")']),
  tuning('java', 'Config.java', ['    private static final String %K = "%v";', '    config.set%P("%v");']),
  tuning('go', 'config.go', ['\t%c := "%v"', '\t\t%P: "%v",']),
  tuning('php', 'config.php', ["define('%K', '%v');", "    '%k' => '%v',"]),
  tuning('xml', 'config.xml', ['  <%c>%v</%c>', '  <property name="%k" value="%v"/>'], bare),
  tuning('docker', 'Dockerfile', ['ENV %K=%v', 'ARG %K=%v'], bare),
  tuning('shell-option', 'deploy.sh', ['tool --%d %v --verbose', 'tool --%d=%v'], bare),
  tuning('compose', 'docker-compose.yml', ['      - %K=%v', '      %K: %v'], bare),
  tuning('fallback-js', 'src/env.ts', ["const %c = process.env.%K || '%v'"]),

  unseen(
    'kubernetes',
    'k8s/deployment.yaml',
    ['            - name: %K\n              value: "%v"', '              value: "%v" # %K\n'].slice(0, 1),
  ),
  unseen('ini', 'shop.ini setup.cfg', ['%k = %v', '%d=%v', '%c : %v'], bare),
  unseen('csharp', 'Startup.cs', [
    '    private const string %P = "%v";',
    '        options.%P = "%v";',
    '        var %c = @"%v";',
  ]),
  unseen('ruby', 'config/initializers/shop.rb', [
    "  config.%k = '%v'",
    '  %k: "%v",',
    "  :%k => '%v',",
    "  ENV['%K'] ||= '%v'",
  ]),
  unseen('hcl', 'main.tf', ['  %k = "%v"', 'variable "%k" { default = "%v" }']),
  unseen('tfstate', 'terraform.tfstate', [
    '            "%k": "%v",',
    '    "%k": { "value": "%v", "type": "string" },',
  ]),
  unseen('kotlin', 'Config.kt', ['    val %c: String = "%v"', '    const val %K = "%v"']),
  unseen('rust', 'src/config.rs', [
    'const %K: &str = "%v";',
    '    let %k = "%v".to_string();',
    '    %k: "%v".into(),',
  ]),
  unseen('swift', 'Config.swift', ['    static let %c = "%v"', '    let %c: String = "%v"']),
  unseen('python-fallback', 'settings/base.py', [
    '%K = os.environ.get("%K", "%v")',
    "%K = os.getenv('%K') or '%v'",
    '    %k: str = "%v"',
  ]),
  unseen('spring-default', 'Mail.java', ['    @Value("${app.%o:%v}")'], bare),
  unseen('shell-default', 'run.sh', ['%K="${%K:-%v}"', ': "${%K:=%v}"', 'export %K=${%K:-%v}'], bare),
  unseen('notebook', 'analysis.ipynb', ['    "%k = \\"%v\\"\\n",', "    \"os.environ['%K'] = '%v'\\n\","]),
  unseen('powershell', 'deploy.ps1', [
    '$%P = "%v"',
    "$env:%K = '%v'",
    '$%c = ConvertTo-SecureString "%v" -AsPlainText -Force',
  ]),
  unseen('plist', 'Info.plist', ['    <key>%P</key>\n    <string>%v</string>']),
  unseen(
    'maven',
    'settings.xml',
    ['      <%o>%v</%o>', '    <entry key="%k">%v</entry>', '    <property name="%c">%v</property>'],
    bare,
  ),
  unseen(
    'header',
    'client.js requests.http',
    ["    headers: { 'X-%H': '%v' },", 'X-%H: %v', '  xhr.setRequestHeader("X-%H", "%v");'],
    { kind: 'token', not: ['phrase'] },
  ),
  unseen(
    'curl',
    'README.md call.sh',
    [
      "curl -H 'X-%H: %v' https://api.acme.internal/v1",
      'curl "https://api.acme.internal/v1?%k=%v&page=2"',
      'curl -d "%k=%v" https://api.acme.internal',
    ],
    { kind: 'token', not: ['phrase'] },
  ),
  unseen(
    'github-actions',
    '.github/workflows/deploy.yml',
    ['          %K: %v', '        run: tool --%d "%v"'],
    bare,
  ),
  unseen('jenkins', 'Jenkinsfile', ["    environment { %K = '%v' }", "        sh 'tool --%d=%v'"], bare),
  unseen('gitlab', '.gitlab-ci.yml', ['  %K: "%v"', '    - export %K="%v"'], bare),
  unseen('sql-insert', 'seed.sql', ["SET %k = '%v';", "UPDATE settings SET %k = '%v' WHERE id = 1;"]),
  unseen('elixir', 'config/prod.exs', ['  %k: "%v",', 'config :shop, %k: "%v"']),
  unseen('lua-perl', 'config.lua conf.pl', ['  %k = "%v",', "my $%k = '%v';"]),
  unseen('markdown', 'docs/setup.md', ['%k: `%v`', '| %k | `%v` |', '- **%k**: %v'], bare),
  unseen(
    'json-inline',
    'fixtures.json',
    ['{"user":"shop","%c":"%v","port":5432}', '"{\\"%k\\":\\"%v\\"}"'],
    bare,
  ),
]
