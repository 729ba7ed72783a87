import type { FindingExplanation, FindingView, FolderCount, ScheduleView, TrendDay } from '@keyward/contract'
import type { Handlers, Input } from './console-server.ts'

const day = 86_400_000
const ago = (days: number): string => new Date(Date.now() - days * day).toISOString()

/** Two months of a project that is being cleaned up, with a bad week in the middle. */
function trendOf(count: number): TrendDay[] {
  let open = 0
  return Array.from({ length: count }, (_, i) => {
    const opened = i === 0 ? 26 : i === 14 ? 19 : (i * 7) % 5 === 0 ? 2 : 0
    const fixed = Math.min(open, i % 4 === 1 ? 2 : 0)
    const imported = Math.min(open - fixed, i % 7 === 4 ? 4 : 0)
    const ignored = Math.min(open - fixed - imported, i % 9 === 8 ? 1 : 0)
    open += opened - fixed - imported - ignored
    return { day: ago(count - 1 - i).slice(0, 10), open, opened, fixed, imported, ignored }
  })
}

const folderRows: [string, FolderCount['kind'], number, number, number][] = [
  ['services', 'folder', 41, 23, 9],
  ['infrastructure', 'folder', 18, 4, 0],
  ['a-folder-with-a-name-that-is-much-longer-than-anybody-would-choose-for-it', 'folder', 3, 12, 30],
  ['.env', 'file', 6, 0, 0],
  ['docs', 'folder', 0, 1, 5],
]

export const explanation: FindingExplanation = {
  contexts: [
    {
      file: '.env',
      problem: null,
      lines: [
        { line: 2, text: 'DATABASE_URL=postgres://shop:****@db.internal:5432/shop', holds: false },
        { line: 3, text: 'PORT=8080', holds: false },
        { line: 4, text: 'STRIPE_SECRET_KEY=sk_l****x4Qe', holds: true },
        {
          line: 5,
          text: '# the address that customers see, which is rather long and reaches beyond the panel',
          holds: false,
        },
      ],
    },
    { file: 'backup.zip', problem: 'It lies inside an archive.', lines: [] },
  ],
  moves: [
    { at: ago(1), to: 'open', actor: 'system:scan', reason: null, scanId: 'scn_2', runId: null },
    {
      at: ago(6),
      to: 'fixed',
      actor: 'system:scan',
      reason: 'No scan finds it any more.',
      scanId: 'scn_1',
      runId: null,
    },
    { at: ago(20), to: 'open', actor: 'system:scan', reason: null, scanId: 'scn_0', runId: null },
  ],
  rotation: {
    automatic: false,
    steps: [
      'Move it into the vault: the file then holds a reference that stays the same.',
      'Issue a new one where the old one was issued, and write it to the same path of the vault.',
      'Revoke the old one. Keyward cannot do that for you.',
    ],
    address: 'https://dashboard.stripe.com/apikeys',
  },
}

const schedule: ScheduleView = {
  id: 'sch_1',
  path: '/srv/projects/leaky-shop',
  cron: '30 3 * * *',
  timeZone: 'Europe/Zurich',
  history: 'new',
  watch: true,
  propose: true,
  push: null,
  hook: null,
  hookReady: false,
  paused: false,
  createdBy: 'person:per_01',
  createdAt: ago(30),
  nextAt: ago(-0.4),
  watching: { state: 'on', problem: null },
  runs: 34,
  failures: 1,
  last: {
    scanId: 'scn_1',
    state: 'finished',
    startedAt: ago(0.6),
    finishedAt: ago(0.6),
    opened: 2,
    fixed: 1,
    problem: null,
  },
}

export const schedules: ScheduleView[] = [
  schedule,
  {
    ...schedule,
    id: 'sch_2',
    path: '/srv/git/billing.git',
    cron: null,
    watch: false,
    watching: null,
    nextAt: null,
    push: { provider: 'gitlab', repository: 'team/billing' },
    hook: '/api/v1/hooks/sch_2',
    runs: 0,
    failures: 0,
    last: null,
  },
  {
    ...schedule,
    id: 'sch_3',
    path: '/srv/projects/a-folder-that-was-moved-away-by-somebody-who-told-nobody-about-it',
    cron: '0 7 * * 1-5',
    watching: { state: 'failing', problem: 'ENOENT: no such file or directory' },
    last: {
      scanId: null,
      state: 'failed',
      startedAt: ago(0.1),
      finishedAt: ago(0.1),
      opened: 0,
      fixed: 0,
      problem: 'The path to scan cannot be read: no such file or directory',
    },
  },
  {
    ...schedule,
    id: 'sch_4',
    path: '/srv/projects/old',
    watch: false,
    watching: null,
    paused: true,
    nextAt: null,
  },
]

function tallyOf(findings: readonly FindingView[], field: 'confidence' | 'rule' | 'provider' | 'project') {
  const groups = Map.groupBy(findings, (finding) => finding[field])
  return [...groups].map(([name, own]) => ({ name, count: own.length }))
}

const fits =
  (input: Input) =>
  (finding: FindingView): boolean =>
    (['confidence', 'rule', 'provider', 'project'] as const).every(
      (field) => input[field] === undefined || input[field] === finding[field],
    ) &&
    (input['text'] === undefined ||
      finding.title.toLowerCase().includes(String(input['text']).toLowerCase())) &&
    (input['path'] === undefined || finding.places.some(({ file }) => file.startsWith(String(input['path']))))

export function findingHandlers(findings: readonly FindingView[]): Handlers {
  return {
    'findings.list': (input) => ({
      items: findings.filter(
        (finding) =>
          fits(input)(finding) && (input['state'] === undefined || input['state'] === finding.state),
      ),
      next: null,
    }),
    'findings.summary': (input) => {
      const own = findings.filter(fits(input))
      const states = Object.fromEntries(
        [...Map.groupBy(own, ({ state }) => state)].map(([state, all]) => [state, all.length]),
      )
      return {
        states,
        confidences: tallyOf(own, 'confidence'),
        rules: tallyOf(own, 'rule'),
        providers: tallyOf(own, 'provider'),
        projects: tallyOf(findings, 'project'),
      }
    },
    'findings.trend': ({ days }) => ({ days: trendOf(Number(days)) }),
    'findings.folders': ({ folder }) => {
      const inside = folder === '' ? '' : `${String(folder)}/`
      const items = folderRows.map(([name, kind, high, medium, low]) => {
        return { path: `${inside}${name}`, kind, findings: high + medium + low, high, medium, low }
      })
      return { folder, items }
    },
    'findings.explain': () => explanation,
    'findings.ignore': ({ findingIds }) => ({ findings: findingIds }),
    'findings.reopen': ({ findingIds }) => ({ findings: findingIds }),
    'schedules.list': () => ({ items: schedules }),
    'schedules.create': ({ path }) => ({ ...schedule, id: 'sch_9', path }),
    'schedules.change': ({ paused }) => ({ ...schedule, paused: paused === true }),
    'schedules.remove': () => ({ removed: true }),
    'schedules.run': () => schedule,
    'schedules.secret': () => ({ secret: `made-for-tests-${Math.random().toString(36).slice(2)}` }),
  }
}

export function emptyFindingHandlers(): Handlers {
  const none = { open: 0, opened: 0, fixed: 0, imported: 0, ignored: 0 }
  return {
    ...findingHandlers([]),
    'findings.trend': ({ days }) => ({
      days: Array.from({ length: Number(days) }, (_, i) => ({ day: ago(i).slice(0, 10), ...none })).reverse(),
    }),
    'findings.folders': () => ({ folder: '', items: [] }),
    'schedules.list': () => ({ items: [] }),
  }
}
