// The parts of the console that need no browser.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Json } from '@keyward/contract'
import { api, openText } from '@keyward/contract'
import { requestOf } from '../src/api/client.ts'
import { reachLayout, widenings } from '../src/pages/agents/reach-layout.ts'
import { previewParts } from '../src/pages/approvals/preview-parts.ts'
import { canonicalJson, verifyEntry, verifyHead } from '../src/pages/audit/verify-entry.ts'
import { partsOf } from '../src/pages/overview/health-parts.ts'
import { nextSteps } from '../src/pages/overview/next-steps.ts'
import { cedarWords, describePolicy, rulesIn } from '../src/pages/policies/cedar-words.ts'
import { arrowPath } from '../src/pages/runs/arrows.ts'
import { frameFor } from '../src/pages/runs/graph-frame.ts'
import { arrange, arrowId, layersOf } from '../src/pages/runs/layers.ts'
import { carriedBy } from '../src/pages/runs/run-host.ts'
import { axisOf, lanesOf, placeOf, ticksOf } from '../src/pages/runs/timeline.ts'
import { codeIn, takeSignInCode } from '../src/pages/sign-in/sign-in-code.ts'
import { bytesText, spanText } from '../src/ui/amounts.ts'
import { readReason } from '../src/ui/reason.ts'
import { reach } from './support/egress-fixtures.ts'
import * as data from './support/fixtures.ts'
import { run } from './support/run-fixtures.ts'
import { fullHandlers } from './support/scenarios.ts'

describe('OBS-1: what is open through the proxy', () => {
  test('is said in words, and nothing is said of what is not open', () => {
    assert.equal(openText(reach.open), '2 HTTPS, 1 PostgreSQL')
    assert.equal(openText({ ...reach.open, https: 0, postgres: 0 }), '')
  })
})

describe('API-1: requests are made from the contract', () => {
  test('places of the path are encoded, the rest goes to query or body', () => {
    assert.deepEqual(
      requestOf(api.approvals.approve, { approvalId: 'a/b', digest: 'd', reason: undefined }),
      {
        address: '/api/v1/approvals/a%2Fb/approve',
        body: '{"digest":"d"}',
      },
    )
    assert.deepEqual(requestOf(api.findings.list, { state: 'open', project: undefined, cursor: 'x y' }), {
      address: '/api/v1/findings?cursor=x+y&state=open',
      body: undefined,
    })
  })
})

describe('IDENT-1: the code of a sign-in link', () => {
  test('is found in a link, in a fragment, and nowhere else', () => {
    assert.equal(codeIn('http://127.0.0.1:8200/#code=abc%2B1'), 'abc+1')
    assert.equal(codeIn('#code=abc'), 'abc')
    for (const text of ['', 'abc', '#', '#code=', '#other=abc', '/?code=abc'])
      assert.equal(codeIn(text), undefined)
  })

  test('leaves the address in the moment it is read', () => {
    const seen: unknown[] = []
    const location = { hash: '#code=abc', pathname: '/sign-in', search: '' }
    const history = { replaceState: (...args: unknown[]) => void seen.push(args) }
    assert.equal(takeSignInCode({ location, history } as never), 'abc')
    assert.deepEqual(seen, [[null, '', '/']])
  })
})

describe('WORK-2: what carries runs', () => {
  const up = {
    forNewRuns: 'temporal',
    active: { embedded: 1, temporal: 2 },
    temporal: {
      address: 'temporal.internal:7233',
      namespace: 'keyward',
      state: 'up',
      problem: null,
      untold: 0,
      running: 0,
    },
  } as const
  const down = {
    ...up,
    temporal: { ...up.temporal, state: 'connecting', problem: 'nobody answers', untold: 3 },
  } as const
  const gone = { ...up, forNewRuns: 'embedded', temporal: null } as const

  test('is said on the page of a run, and that it waits', () => {
    const going = { host: 'temporal', finishedAt: null } as const
    assert.equal(carriedBy({ host: 'embedded', finishedAt: null }, down), 'carried by the server')
    assert.equal(carriedBy(going, up), 'carried by Temporal')
    assert.equal(carriedBy(going, down), 'waiting for Temporal: nobody answers')
    assert.match(carriedBy(going, gone), /no longer set/)
    assert.equal(carriedBy({ ...going, finishedAt: '2026-09-22T10:00:00.000Z' }, down), 'carried by Temporal')
  })

  test('is part of the overview where a Temporal is set or missed', () => {
    const runs = (hosts?: typeof up | typeof down | typeof gone) =>
      partsOf({ ...data.fullStatus, hosts }).find(({ name }) => name === 'Runs')
    assert.equal(runs(), undefined)
    assert.equal(runs(up)?.health, 'ok')
    assert.deepEqual([runs(down)?.health, runs(gone)?.health], ['degraded', 'degraded'])
    assert.match(runs(down)?.notes.join() ?? '', /nobody answers.*yet to hear of 3/)
  })
})

describe('LEND-1: the picture of what an agent can reach', () => {
  test('three columns, each centred, and the widest way decides how a line looks', () => {
    const { height, agentTop, secrets, places, toSecrets, toPlaces } = reachLayout(reach.ways)
    assert.deepEqual(
      [height, agentTop, secrets.map(({ top }) => top), places.map(({ key }) => key)],
      [224, 80, [0, 80, 160], ['api.stripe.com', 'api.github.com', '10.1.2.3:8443']],
    )
    assert.deepEqual(
      toSecrets.map(({ look }) => look),
      ['held', 'askable', 'shut'],
    )
    assert.deepEqual(toPlaces.length, 3, 'a lease and a grant for the same place share a line')
    assert.equal(reachLayout([]).secrets.length, 0)
  })

  test('what makes a way wide is said in words, and a login has no methods', () => {
    const [, , wide, address] = reach.ways
    assert.ok(wide && address)
    assert.deepEqual(widenings(wide), ['in any place of a request', 'any method', 'any path'])
    assert.deepEqual(widenings(address), ['any path', 'an address instead of a name'])
    const login = { kind: 'redis', tls: 'verify' } as const
    assert.deepEqual(widenings({ ...wide, injection: login }), [])
  })

  test('amounts are short and have their unit', () => {
    assert.deepEqual([0, 1023, 1536, 20 * 1024 ** 2].map(bytesText), ['0 B', '1023 B', '1.5 KiB', '20 MiB'])
    assert.deepEqual([0, 0.34, 4.25, 3, 59.6, 90, 300, 7260, 187_200].map(spanText), [
      '0 s',
      '340 ms',
      '4.3 s',
      '3 s',
      '1 min',
      '1 min 30 s',
      '5 min',
      '2 h 1 min',
      '2 d 4 h',
    ])
  })
})

describe('WORK-1: the time of a run', () => {
  const second = 1000
  const day = 86_400 * second
  const [first, later] = run.tasks
  assert.ok(first && later)
  const iso = (moment: number): string => new Date(moment).toISOString()
  const before = { ...first, startedAt: iso(0), finishedAt: iso(10 * second) }
  const gated = { ...later, approvalId: 'apr', startedAt: iso(2 * day), finishedAt: null }
  const asked = new Map([['apr', { requestedAt: iso(10 * second), decidedAt: iso(2 * day) }]])

  test('a task that waited for a person has the wait before its work, and what goes on reaches to now', () => {
    const lanes = lanesOf([before, gated], asked, 2 * day + 5 * second)
    assert.deepEqual(
      lanes.map(({ spans }) => spans),
      [
        [{ kind: 'ran', from: 0, to: 10 * second, open: false }],
        [
          { kind: 'waited', from: 10 * second, to: 2 * day, open: false },
          { kind: 'ran', from: 2 * day, to: 2 * day + 5 * second, open: true },
        ],
      ],
    )
  })

  test('days in which nothing ran take little room, and figures stand on the rest', () => {
    const axis = axisOf(lanesOf([before, gated], asked, 2 * day + 5 * second))
    assert.deepEqual(
      axis.map(({ folded }) => folded),
      [false, true, false],
    )
    assert.deepEqual([placeOf(0, axis), placeOf(2 * day + 5 * second, axis).toFixed(6)], [0, '1.000000'])
    const [, wait] = axis
    assert.ok(wait && wait.right - wait.left < 0.2)
    const ticks = ticksOf(axis, 4)
    assert.deepEqual(
      ticks.slice(0, 3).map(({ seconds }) => seconds),
      [0, 5, 10],
    )
    assert.ok(ticks.every(({ place }) => place <= wait.left || place >= wait.right))
  })

  test('a run that has not begun has no axis', () => {
    assert.deepEqual(axisOf(lanesOf([{ ...first, startedAt: null }], new Map(), 0)), [])
    assert.deepEqual([placeOf(5, []), ticksOf([], 3)], [0, []])
  })
})

describe('WORK-1: the picture of a run', () => {
  test('an arrow goes in right angles, straight when it can, and through the lane of a layer in between', () => {
    const box = { width: 100, height: 40, gapAlong: 50, gapAcross: 20 }
    const [from, to] = [
      { id: 'a', x: 0, y: 0 },
      { id: 'b', x: 150, y: 60 },
    ]
    const arrow = { from, to, lanes: [], box, direction: 'right' } as const
    assert.equal(arrowPath(arrow), 'M100,20L117,20Q125,20 125,28L125,72Q125,80 133,80L150,80')
    assert.equal(arrowPath({ ...arrow, to: { ...to, y: 0 } }), 'M100,20L150,20')
    const far = { id: 'c', x: 300, y: 60 }
    assert.match(arrowPath({ ...arrow, to: far, lanes: [to] }), /L150,80M250,80L300,80M150,80L250,80$/)
  })

  const diamond = [
    { id: 'd', needs: ['b', 'c'] },
    { id: 'b', needs: ['a'] },
    { id: 'c', needs: ['a'] },
    { id: 'a', needs: [] },
  ]

  test('every task stands after all that it needs', () => {
    assert.deepEqual(
      layersOf(diamond).map((layer) => layer.map(({ id }) => id)),
      [['a'], ['b', 'c'], ['d']],
    )
    const places = new Map(
      arrange(diamond, 'right', frameFor(diamond, 1000).box).tasks.map((place) => [place.id, place]),
    )
    for (const { id, needs } of diamond) {
      for (const need of needs)
        assert.ok((places.get(need)?.x ?? 0) < (places.get(id)?.x ?? 0), `${need} → ${id}`)
    }
  })

  test('no two tasks overlap, in random graphs of any width', () => {
    for (let round = 0; round < 40; round += 1) {
      const nodes = Array.from({ length: 1 + (round % 13) }, (_, at) => ({
        id: String(at),
        needs: Array.from({ length: at }, (_unused, need) => String(need)).filter(
          (need) => (Number(need) * 7 + round * at) % 3 === 0,
        ),
      }))
      const { direction, box } = frameFor(nodes, 320 + round * 40)
      const spots = arrange(nodes, direction, box).tasks.map(
        ({ x, y }) => `${Math.round(x)}:${Math.round(y)}`,
      )
      assert.equal(new Set(spots).size, nodes.length)
    }
  })

  test('an arrow over a layer passes through a lane where no task stands', () => {
    const nodes = [
      { id: 'a', needs: [] },
      { id: 'b', needs: ['a'] },
      { id: 'c', needs: ['a', 'b'] },
    ]
    const { box } = frameFor(nodes, 1000)
    const { tasks, lanes } = arrange(nodes, 'right', box)
    const [lane] = lanes.get(arrowId('a', 'c')) ?? []
    const middle = tasks.find(({ id }) => id === 'b')
    assert.ok(lane && middle)
    assert.equal(lane.x, middle.x)
    assert.ok(Math.abs(lane.y - middle.y) >= box.height)
    assert.deepEqual(lanes.get(arrowId('a', 'b')), [])
  })

  test('a need that is missing or a cycle does not hang the page', () => {
    const broken = [
      { id: 'a', needs: ['b', 'gone'] },
      { id: 'b', needs: ['a'] },
    ]
    assert.equal(layersOf(broken).flat().length, 2)
  })

  test('text stays readable: a long run turns downwards on a narrow screen', () => {
    assert.equal(frameFor(run.tasks, 1800).direction, 'right')
    assert.equal(frameFor(run.tasks, 360).direction, 'down')
    const broad = Array.from({ length: 40 }, (_, at) => ({ id: String(at), needs: at === 0 ? [] : ['0'] }))
    assert.equal(frameFor(broad, 360).direction, 'right')
  })
})

describe('APPR-1: a preview is sorted, and nothing is lost', () => {
  test('files and secrets are drawn, all else stays data', () => {
    const { files, moves, historyOnly, work, rest } = previewParts(data.approval.preview)
    assert.deepEqual([files.length, moves.length, historyOnly.length, work.length], [2, 4, 1, 1])
    assert.deepEqual(Object.keys(rest), ['project'])
  })

  test('an agent task with a field that no view draws is shown whole as data', () => {
    const [known] = previewParts(data.approval.preview).work
    assert.ok(known)
    const agentTask: Json = JSON.parse(JSON.stringify({ ...known, runAs: 'root' }))
    assert.deepEqual(previewParts({ agentTask }).rest, { agentTask })
    assert.deepEqual(previewParts({ agentTask: null }).rest, { agentTask: null })
  })

  test('a list in which one item is strange is shown whole as data', () => {
    const files = [...data.importPreview.files, { file: 'x' }]
    assert.deepEqual(previewParts({ files }), {
      files: [],
      moves: [],
      historyOnly: [],
      work: [],
      rest: { files },
    })
    assert.deepEqual(previewParts('text').rest, { preview: 'text' })
    const twice = { project: 'a', import: { project: 'b', files: data.importPreview.files } }
    assert.deepEqual(previewParts(twice).rest, twice)
  })
})

describe('UI-1: a reason is read out', () => {
  test('codes become words, other text stays as it is', () => {
    assert.deepEqual(readReason('approval.denied: Not during the sale'), {
      text: 'The approval was denied: Not during the sale',
      code: 'approval.denied',
    })
    assert.equal(readReason('run.cancelled: by person:ada').text, 'The run was cancelled by person:ada')
    assert.equal(readReason('lease.ended').text, 'The lease is revoked, expired or used up.')
    assert.deepEqual(readReason('example.com: no answer'), {
      text: 'example.com: no answer',
      code: undefined,
    })
  })
})

describe('GOV-1: the chain is checked in the browser', () => {
  test('an entry as recorded fits; with one character changed it does not', async () => {
    const [entry] = data.auditChain(1)
    assert.ok(entry)
    assert.equal(await verifyEntry(entry), 'match')
    assert.equal(await verifyEntry({ ...entry, target: `${entry.target}x` }), 'mismatch')
  })

  test('the head is checked with its key', async () => {
    const head = (await fullHandlers()['audit.head']?.({})) as Parameters<typeof verifyHead>[0]
    assert.equal(await verifyHead(head), 'match')
    assert.equal(await verifyHead({ ...head, seq: head.seq - 1 }), 'mismatch')
    assert.equal(await verifyHead({ ...head, publicKey: 'no key' }), 'unavailable')
  })

  test('canonical JSON sorts keys and keeps the order of lists', () => {
    assert.equal(canonicalJson({ b: [2, 1], a: null }), '{"a":null,"b":[2,1]}')
  })
})

describe('UI-1: what to do next', () => {
  test('a quiet installation asks for nothing', () => {
    const counts = { ...data.fullStatus.counts, openFindings: 0, pendingApprovals: 0 }
    assert.deepEqual(nextSteps({ ...data.fullStatus, counts }), [])
  })

  test('what is broken comes first, then what waits', () => {
    const vault = { ...data.fullStatus.vault, sealed: true }
    const ids = nextSteps({ ...data.fullStatus, vault, proxy: { health: 'failing' } }).map(({ id }) => id)
    assert.deepEqual(ids, ['unseal', 'proxy', 'approve', 'import'])
  })

  test('LEND-2: a placeholder that was sent elsewhere asks to be looked at', () => {
    const egress = { allowed: 9, denied: 0, misused: 2, failed: 0 }
    const [first] = nextSteps({ ...data.fullStatus, egress })
    assert.deepEqual([first?.title, first?.to], ['Look at 2 misused placeholders', '/agents'])
  })

  test('a new installation is led to its first scan and its first agent', () => {
    assert.deepEqual(
      nextSteps(data.emptyStatus).map(({ id }) => id),
      ['scan', 'agent'],
    )
  })
})

describe('POL-1: policies are shown as they are', () => {
  test('colouring loses no character', () => {
    for (const { text } of data.policies.policies) {
      assert.equal(
        cedarWords(text)
          .map((word) => word.text)
          .join(''),
        text,
      )
    }
    assert.deepEqual(
      cedarWords('permit // "x"').map(({ kind }) => kind),
      ['effect', 'plain', 'comment'],
    )
  })

  test('rules are listed by what their annotations say', () => {
    const source =
      '@id("a")\n@description("May \\"look\\".")\npermit (principal, action, resource);\n@id("b")\nforbid (principal, action, resource);'
    assert.deepEqual(rulesIn(source), [{ id: 'a', effect: 'permit', text: 'May "look".' }])
  })

  test('the comment at the head describes the file', () => {
    assert.equal(describePolicy('\n// One.\n// Two.\n\n// Not this.\npermit;'), 'One. Two.')
    assert.equal(describePolicy('permit;'), '')
  })
})
