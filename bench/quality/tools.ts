// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are texts of other languages
// More families: files of tools, and languages that are met less often. What `unseen` holds was written after the rules
// and without a look at what they make of it.
import { type Family, tuning, unseen } from './families.ts'

/** These places end a value at a blank or a symbol. */
const bare = { not: ['phrase'] } as const
const inText = { not: ['phrase', 'weak', 'uuid'] } as const

export const tools: readonly Family[] = [
  tuning('helm', 'charts/shop/values.yaml', ['  auth:\n    %c: %v', 'global:\n  %c: "%v"'], bare),
  tuning('ansible', 'group_vars/all.yml', ['vault_%k: %v', "ansible_%k: '%v'"], bare),
  tuning('appsettings', 'appsettings.Production.json', ['    "%P": "%v",', '  "Shop": { "%P": "%v" },']),
  tuning('systemd', 'shop.service', ['Environment="%K=%v"', 'Environment=%K=%v'], bare),
  tuning('make', 'Makefile', ['export %K := %v', '%K ?= %v', '\t%K=%v ./deploy.sh'], bare),
  tuning('http-file', 'calls.http', ['@%c = %v', 'X-%H: %v'], bare),
  tuning('postman', 'shop.postman_environment.json', ['{"key":"%k","value":"%v","enabled":true},']),
  tuning('gradle', 'app/build.gradle', ["            %c '%v'", '            %c "%v"']),
  tuning('c', 'config.h wifi.c', ['#define %K "%v"', 'static const char %k[] = "%v";']),
  tuning(
    'log',
    'app.log',
    ['2026-01-01 INFO connected with %k=%v to db', '{"level":"debug","%c":"%v"}'],
    bare,
  ),
  tuning('chat', 'export.txt', ['bob: the %k for staging is %v', '[10:04] eve: %k = %v'], inText),
  tuning('clojure-erlang', 'core.clj sys.erl', ['{:%d "%v"}', '  {%k, "%v"},']),
  tuning('test-code', 'spec/login_spec.rb e2e/login.ts', [
    "let(:%k) { '%v' }",
    "await page.fill('#%c', '%v')",
  ]),
  tuning('argparse', 'tool.py', [
    'parser.add_argument("--%d", default="%v")',
    "%K = config('%K', default='%v')",
  ]),

  unseen(
    'circleci',
    '.circleci/config.yml',
    ['      - run: echo "export %K=%v" >> $BASH_ENV', '    environment:\n      %K: %v'],
    bare,
  ),
  unseen(
    'azure-pipelines',
    'azure-pipelines.yml',
    ['  - name: %k\n    value: %v', '    %c: $(%c2)\n    %d: %v'],
    bare,
  ),
  unseen('puppet', 'hieradata/common.yaml init.pp', ["shop::%k: '%v'", "  %k => '%v',"]),
  unseen('chef', 'attributes/default.rb', [
    "default['shop']['%k'] = '%v'",
    "node.override['shop']['%k'] = \"%v\"",
  ]),
  unseen('salt', 'pillar/shop.sls', ['  %k: %v', "  - %k: '%v'"], bare),
  unseen('nomad', 'shop.nomad', ['        %K = "%v"', '      env { %K = "%v" }']),
  unseen('dbt', 'profiles.yml', ['      %k: %v', '      %k: "%v"'], bare),
  unseen('flyway', 'flyway.conf liquibase.properties', ['flyway.%o=%v', '%c: %v'], bare),
  unseen(
    'hibernate',
    'hibernate.cfg.xml',
    ['    <property name="hibernate.connection.%k">%v</property>'],
    bare,
  ),
  unseen(
    'tomcat',
    'server.xml context.xml',
    ['    <Resource name="jdbc/shop" username="shop" %c="%v" />', '  <Parameter name="%c" value="%v"/>'],
    bare,
  ),
  unseen(
    'jenkins-xml',
    'config.xml',
    ['      <%c>%v</%c>', '  <hudson.util.Secret><%k>%v</%k></hudson.util.Secret>'],
    bare,
  ),
  unseen('vscode', '.vscode/settings.json', [
    '  "shop.%c": "%v",',
    '  "sqltools.connections": [{ "%c": "%v" }],',
  ]),
  unseen('robot', 'login.robot', ['${%K}    %v', '    Set Suite Variable    ${%K}    %v'], bare),
  unseen(
    'gherkin',
    'login.feature',
    ['    Given the user "shop" with %k "%v"', '    When I enter "%v" as the %k'],
    inText,
  ),
  unseen('objective-c', 'Config.m', ['static NSString * const k%P = @"%v";', '    self.%c = @"%v";']),
  unseen('haskell-fsharp', 'Config.hs Config.fs', ['%c = "%v"', 'let %c = "%v"', '  , %c = "%v"']),
  unseen('julia-matlab', 'config.jl config.m', ['const %K = "%v"', "%k = '%v';"]),
  unseen('vba', 'Module1.bas', ['    Const %P = "%v"', '    Dim %c As String: %c = "%v"', '    .%P = "%v"']),
  unseen('pulumi', 'Pulumi.prod.yaml', ['  shop:%c: %v', '    value: %v # %k'].slice(0, 1), bare),
  unseen('docker-run', 'start.sh', ['docker run -e %K=%v shop', 'docker run --env "%K=%v" shop'], bare),
  unseen(
    'kubectl',
    'setup.sh',
    ['kubectl create secret generic shop --from-literal=%d=%v', 'helm upgrade shop . --set auth.%c=%v'],
    bare,
  ),
  unseen('grpc-text', 'shop.textproto', ['  %k: "%v"', "%k: '%v'"]),
  unseen(
    'ticket',
    'issue-12.txt mail.eml',
    ['Please use this %k: %v', '%k is now "%v", do not share it'],
    inText,
  ),
  unseen('yaml-anchor', 'shared.yml', ['  %k: &%k %v', '  %k: !!str "%v"'], bare),
]
