import { api, type EgressRequest } from '@keyward/contract'
import { useMutation } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { call } from '../../api/index.ts'
import { bytesText } from '../../ui/amounts.ts'
import { Badge } from '../../ui/badge.tsx'
import { Button } from '../../ui/button.tsx'
import { Failure } from '../../ui/notice.tsx'
import { type Fact, Facts } from '../../ui/page.tsx'
import { ExactTime } from '../../ui/time.tsx'
import { Explained } from './explain-egress.tsx'
import { outcomeLooks, requestText } from './request-table.tsx'
import { useAgentNames } from './use-agent-names.ts'

const link = 'underline decoration-edge underline-offset-3 hover:text-ink'

/** One request: what was decided and by what, whose it was, and the way to its proof. */
export function RequestDetail({ request }: { request: EgressRequest }) {
  const nameOf = useAgentNames()
  return (
    <div className="flex flex-col gap-5">
      <div>
        <Badge look={outcomeLooks[request.outcome]} />
      </div>
      <p className="text-pretty break-words">{decisionText(request)}</p>
      <code className="rounded-md bg-sunken px-2.5 py-1.5 break-all">{requestText(request)}</code>
      <Facts facts={factsOf(request, nameOf(request.agentId))} />
      <Link to="/audit" search={{ entry: String(request.seq) }} className={link}>
        Entry {request.seq} of the audit log
      </Link>
      <Again request={request} />
    </div>
  )
}

function decisionText({ outcome, reason, isProbe, policies }: EgressRequest): string {
  if (isProbe) return `Keyward sent this itself, to show that a lease has ended. ${reason ?? ''}`
  if (outcome === 'allowed')
    return policies.length === 0
      ? 'It was on the list of its sandbox, and policy allowed it.'
      : `It was on the list of its sandbox, and allowed by ${policies.join(', ')}.`
  return reason ?? 'No reason was recorded.'
}

function factsOf(request: EgressRequest, agent: string): Fact[] {
  const { runId, taskId, leaseIds, bytesIn, bytesOut, redactions, status, agentId, sandboxId } = request
  const facts: [string, ReactNode][] = [
    [
      'Agent',
      <Link key="agent" to="/agents" search={{ agent: agentId }} className={link}>
        {agent}
      </Link>,
    ],
    ['When', <ExactTime key="at" at={request.at} />],
    ['Answer', status === null ? 'None began' : `Status ${status}`],
    ['Bytes', `${bytesText(bytesOut)} sent, ${bytesText(bytesIn)} received`],
    ['Leases used', leaseIds.length === 0 ? 'None: no secret went out' : leaseIds.join(', ')],
    ['Taken out of the answer', redactions === 0 ? 'Nothing' : `A lent value, ${redactions} times`],
  ]
  if (runId === null) return [...facts, ['Sandbox', <code key="box">{sandboxId}</code>]]
  return [
    ...facts,
    [
      'Run',
      <Link
        key="run"
        to="/runs/$runId"
        params={{ runId }}
        search={taskId === null ? {} : { task: taskId }}
        className={link}
      >
        {runId}
      </Link>,
    ],
  ]
}

/** What would become of the same request now. */
function Again({ request: { agentId, method, host, port, path } }: { request: EgressRequest }) {
  const explain = useMutation({
    mutationFn: () =>
      call(api.egress.explain, {
        agentId,
        method: method || 'GET',
        url: `https://${host.includes(':') ? `[${host}]` : host}:${port}${path || '/'}`,
      }),
  })
  return (
    <div className="flex flex-col gap-3 border-t border-line pt-4">
      <div>
        <Button size="small" busy={explain.isPending} onClick={() => explain.mutate()}>
          What would become of it now?
        </Button>
      </div>
      {explain.error ? <Failure error={explain.error} /> : null}
      <div aria-live="polite">{explain.data ? <Explained explanation={explain.data} /> : null}</div>
    </div>
  )
}
