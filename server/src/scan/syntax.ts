import type { Syntax } from './finding.ts'

const byExtension: Record<string, Syntax> = {
  env: 'env',
  envrc: 'env',
  yaml: 'yaml',
  yml: 'yaml',
  json: 'json',
  jsonc: 'json',
  json5: 'json',
  ipynb: 'json',
  tfstate: 'json',
  webmanifest: 'json',
  toml: 'toml',
  tfvars: 'toml',
  tf: 'toml',
  hcl: 'toml',
  ini: 'ini',
  cfg: 'ini',
  conf: 'ini',
  cnf: 'ini',
  config: 'ini',
  properties: 'ini',
  npmrc: 'ini',
  pypirc: 'ini',
  netrc: 'ini',
  desktop: 'ini',
  service: 'ini',
  http: 'ini',
  rest: 'ini',
  sh: 'shell',
  bash: 'shell',
  zsh: 'shell',
  fish: 'shell',
  ps1: 'shell',
  bat: 'shell',
  cmd: 'shell',
  dockerfile: 'shell',
  containerfile: 'shell',
  bashrc: 'shell',
  zshrc: 'shell',
  profile: 'shell',
  bash_history: 'shell',
  zsh_history: 'shell',
  xml: 'xml',
  plist: 'xml',
  csproj: 'xml',
  resx: 'xml',
  html: 'xml',
  xhtml: 'xml',
}

const codeExtensions = new Set(
  (
    'js mjs cjs jsx ts mts cts tsx vue svelte astro py pyi rb php go rs java kt kts scala groovy gradle swift m mm c h cc cpp ' +
    'hpp cs fs vb dart ex exs erl hs lua pl pm r jl sql clj cljs coffee elm nim zig sol graphql proto jsp erb ejs jenkinsfile'
  ).split(' '),
)

const byName: Record<string, Syntax> = {
  dockerfile: 'shell',
  containerfile: 'shell',
  makefile: 'shell',
  procfile: 'shell',
  jenkinsfile: 'code',
  credentials: 'ini',
  config: 'ini',
  '.git-credentials': 'other',
  kubeconfig: 'yaml',
  'web.config': 'xml',
  'app.config': 'xml',
  'nuget.config': 'xml',
}

const nameOf = (file: string): string =>
  file.slice(Math.max(file.lastIndexOf('/'), file.lastIndexOf('!')) + 1).toLowerCase()

/** How a file of this name is written: by its name, then by what follows the last dot. */
export function syntaxOf(file: string): Syntax {
  const name = nameOf(file)
  if (/^\.env(?:\.|$)|^env\.[a-z]{1,12}$/.test(name)) return 'env'
  if (name.startsWith('dockerfile') || name.startsWith('containerfile')) return 'shell'
  const known = byName[name]
  if (known) return known
  const extension = name.slice(name.lastIndexOf('.') + 1)
  // A template is written like the file it becomes.
  const inner = /^(?:example|sample|template|tmpl|tpl|dist|bak|old|orig|local|j2)$/.test(extension)
    ? name.split('.').at(-2)
    : undefined
  const looked = inner ?? extension
  return byExtension[looked] ?? (codeExtensions.has(looked) ? 'code' : 'other')
}

/** Files that hold hashes, ids and pictures as text: only a provider's own form counts there. */
export function holdsOnlyData(file: string): boolean {
  const name = nameOf(file)
  return (
    /^(?:package-lock\.json|npm-shrinkwrap\.json|yarn\.lock|pnpm-lock\.ya?ml|bun\.lock|deno\.lock|composer\.lock|poetry\.lock|pipfile\.lock|uv\.lock|cargo\.lock|gemfile\.lock|go\.sum|flake\.lock|mix\.lock|pubspec\.lock|podfile\.lock|packages\.lock\.json|gradle\.lockfile|\.terraform\.lock\.hcl)$/.test(
      name,
    ) || /\.(?:svg|map|css|scss|less|lock|sum|po|pot|xlf|xliff|srt|snap)$/.test(name)
  )
}

/** Whether a file is there to test, to show or to explain, by its path. */
export function isTestOrExample(file: string): boolean {
  return (
    /(?:^|[/!])(?:tests?|__tests__|__mocks__|specs?|fixtures?|testdata|mocks?|examples?|samples?|demos?|docs?)\//i.test(
      file,
    ) ||
    /(?:[._-](?:test|spec|mock|example|sample|template)\.[a-z0-9]{1,12}|\.(?:md|mdx|rst|adoc|example|sample|template|dist))$/i.test(
      file,
    )
  )
}
