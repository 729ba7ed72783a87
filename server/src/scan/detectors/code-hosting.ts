import { judgeChecksum } from '../checks.ts'
import { type Detector, prefixed } from '../detector.ts'

/** Where code is kept, built and published. */
export const codeHosting: readonly Detector[] = [
  ...(
    [
      ['ghp_', 'github-personal-access-token', 'GitHub personal access token'],
      ['gho_', 'github-oauth-token', 'GitHub OAuth access token'],
      ['ghu_', 'github-user-token', 'GitHub App user token'],
      ['ghs_', 'github-app-token', 'GitHub App installation token'],
      ['ghr_', 'github-refresh-token', 'GitHub App refresh token'],
    ] as const
  ).map(([prefix, rule, title]) =>
    prefixed({
      rule,
      provider: 'github',
      title,
      keywords: [prefix],
      pattern: new RegExp(`${prefix}[A-Za-z0-9]{36}`),
      judge: judgeChecksum,
    }),
  ),
  prefixed({
    rule: 'github-fine-grained-token',
    provider: 'github',
    title: 'GitHub fine-grained personal access token',
    keywords: ['github_pat_'],
    pattern: /github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}/,
  }),
  prefixed({
    rule: 'gitlab-token',
    provider: 'gitlab',
    title: 'GitLab access token',
    keywords: [
      'glpat-',
      'gldt-',
      'glptt-',
      'glrt-',
      'glcbt-',
      'glimt-',
      'glft-',
      'glagent-',
      'gloas-',
      'glsoat-',
      'glffct-',
    ],
    pattern:
      /(?:glpat|gldt|glptt|glrt|glcbt|glimt|glft|glagent|gloas|glsoat|glffct)-[A-Za-z0-9_-]{20,300}(?:\.[0-9a-z]{2}\.[0-9a-z]{9})?/,
    reach: { after: 340 },
  }),
  prefixed({
    rule: 'npm-token',
    provider: 'npm',
    title: 'npm access token',
    keywords: ['npm_'],
    pattern: /npm_[A-Za-z0-9]{36}/,
    judge: judgeChecksum,
  }),
  {
    rule: 'npm-legacy-token',
    provider: 'npm',
    title: 'npm legacy access token',
    confidence: 'high',
    keywords: ['_authtoken'],
    pattern:
      /_authToken\s{0,3}=\s{0,3}"?(?<value>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})/i,
  },
  prefixed({
    rule: 'pypi-token',
    provider: 'pypi',
    title: 'PyPI upload token',
    keywords: ['pypi-AgE'],
    pattern: /pypi-AgE(?:IcHlwaS5vcmc|NdGVzdC5weXBpLm9yZw)[A-Za-z0-9_-]{50,1000}/,
    reach: { after: 1100 },
  }),
  prefixed({
    rule: 'rubygems-token',
    provider: 'rubygems',
    title: 'RubyGems API key',
    keywords: ['rubygems_'],
    pattern: /rubygems_[0-9a-f]{48}/,
  }),
  prefixed({
    rule: 'crates-io-token',
    provider: 'crates.io',
    title: 'crates.io API token',
    keywords: ['cio'],
    pattern: /cio[A-Za-z0-9]{32}/,
  }),
  prefixed({
    rule: 'docker-hub-token',
    provider: 'docker',
    title: 'Docker Hub access token',
    keywords: ['dckr_pat_', 'dckr_oat_'],
    pattern: /dckr_[po]at_[A-Za-z0-9_-]{27,40}/,
  }),
  prefixed({
    rule: 'jfrog-token',
    provider: 'jfrog',
    title: 'Artifactory reference token or API key',
    keywords: ['cmVmdGtu', 'AKCp'],
    pattern: /cmVmdGtu[A-Za-z0-9]{56}|AKCp[A-Za-z0-9]{69}/,
  }),
  {
    rule: 'bitbucket-app-password',
    provider: 'bitbucket',
    title: 'Bitbucket app password or access token',
    confidence: 'high',
    keywords: ['ATBB', 'ATCTT3xFfG'],
    pattern: /ATBB[A-Za-z0-9]{28,32}[A-F0-9]{4,8}|ATCTT3xFfG[A-Za-z0-9_=-]{150,240}/,
    reach: { after: 260 },
  },
  prefixed({
    rule: 'atlassian-token',
    provider: 'atlassian',
    title: 'Atlassian API token',
    keywords: ['ATATT3xFfG'],
    pattern: /ATATT3xFfG[A-Za-z0-9_=-]{150,240}/,
    reach: { after: 260 },
  }),
  prefixed({
    rule: 'circleci-token',
    provider: 'circleci',
    title: 'CircleCI token',
    keywords: ['CCIPAT_', 'CCIPRJ_'],
    pattern: /CCIP(?:AT|RJ)_[A-Za-z0-9]{20,24}_[0-9a-f]{40}/,
  }),
  prefixed({
    rule: 'sonar-token',
    provider: 'sonarqube',
    title: 'SonarQube token',
    keywords: ['squ_', 'sqp_', 'sqa_'],
    pattern: /sq[upa]_[0-9a-f]{40}/,
  }),
  prefixed({
    rule: 'nuget-api-key',
    provider: 'nuget',
    title: 'NuGet API key',
    keywords: ['oy2'],
    pattern: /oy2[a-z0-9]{43}/,
  }),
]
