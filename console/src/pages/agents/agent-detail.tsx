import { type AgentView, api } from '@keyward/contract'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { ShieldCheck, ShieldOff } from 'lucide-react'
import { useState } from 'react'
import { call } from '../../api/index.ts'
import { Actor } from '../../ui/actor.tsx'
import { announce } from '../../ui/announcer.tsx'
import { agentLook, Badge } from '../../ui/badge.tsx'
import { Button, buttonStyle } from '../../ui/button.tsx'
import { Failure } from '../../ui/notice.tsx'
import { Facts } from '../../ui/page.tsx'
import { ReasonDialog } from '../../ui/reason-dialog.tsx'
import { ExactTime } from '../../ui/time.tsx'
import { AgentAlerts } from './agent-alerts.tsx'
import { AgentAsks } from './agent-asks.tsx'
import { AgentCertificates } from './agent-certificates.tsx'
import { AgentGrants } from './agent-grants.tsx'
import { AgentImage } from './agent-image.tsx'
import { AgentLeases } from './agent-leases.tsx'
import { AgentRollout } from './agent-rollout.tsx'
import { ExplainEgress } from './explain-egress.tsx'
import { GrantButton } from './grant-button.tsx'

export function AgentDetail({ agent }: { agent: AgentView }) {
  return (
    <div className="flex flex-col gap-5">
      <div className="flex flex-wrap items-center justify-between gap-3">
        <Badge look={agentLook[agent.state]} />
        {agent.state === 'active' ? <Quarantine agent={agent} /> : <Activate agent={agent} />}
      </div>
      <AgentAlerts agentId={agent.id} />
      {agent.description ? <p className="text-pretty">{agent.description}</p> : null}
      <Facts
        facts={[
          ['Owner', <Actor key="owner" id={agent.owner} />],
          ['Registered', <ExactTime key="created" at={agent.createdAt} />],
          ['Last used', agent.lastUsedAt ? <ExactTime key="used" at={agent.lastUsedAt} /> : 'Never'],
          ['Id', <code key="id">{agent.id}</code>],
        ]}
      />
      <div className="flex flex-wrap gap-2">
        <Link to="/agents/reach" search={{ agent: agent.id }} className={buttonStyle('plain', 'small')}>
          What it can reach
        </Link>
        <Link to="/agents/egress" search={{ agent: agent.id }} className={buttonStyle('plain', 'small')}>
          What it asked of the outside
        </Link>
      </div>
      <AgentAsks agentId={agent.id} />
      <section className="border-t border-line pt-4">
        <h3 className="mb-2 font-medium">Leases</h3>
        <AgentLeases agentId={agent.id} />
      </section>
      <section className="border-t border-line pt-4">
        <div className="mb-2 flex items-center justify-between gap-3">
          <h3 className="font-medium">What it may borrow</h3>
          {agent.state === 'active' ? <GrantButton agent={agent} /> : null}
        </div>
        <AgentGrants agentId={agent.id} />
      </section>
      <section className="border-t border-line pt-4">
        <h3 className="mb-3 font-medium">How far it is let with runs</h3>
        <AgentRollout agentId={agent.id} />
      </section>
      <section className="border-t border-line pt-4">
        <h3 className="mb-2 font-medium">Where its commands run</h3>
        <AgentImage agentId={agent.id} />
      </section>
      <section className="border-t border-line pt-4">
        <h3 className="mb-2 font-medium">Certificates of its other machines</h3>
        <AgentCertificates agentId={agent.id} />
      </section>
      <section className="border-t border-line pt-4">
        <h3 className="mb-2 font-medium">Would this request be let out?</h3>
        <ExplainEgress agentId={agent.id} />
      </section>
    </div>
  )
}

function useRefresh(): () => Promise<void> {
  const client = useQueryClient()
  return () =>
    client.invalidateQueries({
      predicate: ({ queryKey }) => ['agents', 'leases', 'status'].includes(String(queryKey[0])),
    })
}

function Quarantine({ agent }: { agent: AgentView }) {
  const refresh = useRefresh()
  const [asking, setAsking] = useState(false)
  const quarantine = useMutation({
    mutationFn: (reason: string) => call(api.agents.quarantine, { agentId: agent.id, reason }),
    onSuccess: () => {
      setAsking(false)
      announce(`${agent.name} is quarantined`)
      return refresh()
    },
  })
  return (
    <>
      <Button tone="danger" size="small" icon={ShieldOff} onClick={() => setAsking(true)}>
        Quarantine…
      </Button>
      <ReasonDialog
        open={asking}
        onClose={() => setAsking(false)}
        title={`Quarantine ${agent.name}?`}
        description="Its key is refused from now on, and every lease it holds ends at once."
        action="Quarantine"
        work={quarantine}
      />
    </>
  )
}

function Activate({ agent }: { agent: AgentView }) {
  const refresh = useRefresh()
  const activate = useMutation({
    mutationFn: () => call(api.agents.activate, { agentId: agent.id }),
    onSuccess: () => {
      announce(`${agent.name} is active again`)
      return refresh()
    },
  })
  return (
    <>
      <Button size="small" icon={ShieldCheck} busy={activate.isPending} onClick={() => activate.mutate()}>
        Let it work again
      </Button>
      {activate.error ? <Failure error={activate.error} /> : null}
    </>
  )
}
