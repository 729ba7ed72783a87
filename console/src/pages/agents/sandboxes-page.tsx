import { api, type SandboxView, type SystemStatus } from '@keyward/contract'
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { Box, CircleStop, ShieldAlert, ShieldCheck } from 'lucide-react'
import { useState } from 'react'
import { sandboxesQuery } from '../../api/agent-queries.ts'
import { call } from '../../api/index.ts'
import { statusQuery } from '../../api/queries.ts'
import { bytesText, spanText } from '../../ui/amounts.ts'
import { announce } from '../../ui/announcer.tsx'
import { Badge, type Look } from '../../ui/badge.tsx'
import { Button, buttonStyle } from '../../ui/button.tsx'
import { Meter } from '../../ui/meter.tsx'
import { Empty, Failure, Skeleton } from '../../ui/notice.tsx'
import { PageHeader, Sheet } from '../../ui/page.tsx'
import { ReasonDialog } from '../../ui/reason-dialog.tsx'
import { RoomTabs } from '../../ui/room-tabs.tsx'
import { Time } from '../../ui/time.tsx'
import { ImagesList } from './images-list.tsx'
import { agentRooms } from './rooms.ts'
import { useAgentNames } from './use-agent-names.ts'

const levelLook: Record<SandboxView['level'], Look> = {
  full: { hue: 'ok', icon: ShieldCheck, text: 'Fully isolated' },
  'no-cgroup': { hue: 'wait', icon: ShieldAlert, text: 'Isolated, limits by process' },
  none: { hue: 'bad', icon: ShieldAlert, text: 'No isolation' },
}

export function SandboxesPage() {
  const { data, error, isPending, refetch } = useQuery(sandboxesQuery)
  return (
    <>
      <PageHeader
        title="Sandboxes"
        lead="Each command of an agent runs in a sandbox of its own, without a network but the egress proxy. What it uses is measured a few times a second."
      >
        <RoomTabs label="Agents" rooms={agentRooms} />
      </PageHeader>
      <Isolation />
      {error ? <Failure error={error} retry={() => void refetch()} /> : null}
      {isPending ? <Skeleton rows={3} label="Loading the sandboxes" /> : null}
      {data?.items.length === 0 ? <Nothing /> : null}
      {data?.waiting ? (
        <p className="mb-4 text-[0.8125rem] text-muted">
          Started ahead and waiting for a task: {data.waiting}
        </p>
      ) : null}
      {data && data.items.length > 0 ? (
        <ul className="grid gap-4 xl:grid-cols-2" aria-label="Sandboxes that run now">
          {data.items.map((sandbox) => (
            <li key={sandbox.id}>
              <Card sandbox={sandbox} />
            </li>
          ))}
        </ul>
      ) : null}
      <ImagesList />
    </>
  )
}

function Nothing() {
  return (
    <Empty icon={Box} title="No sandbox runs now">
      <p>One begins when a task of a run lets an agent run a command, and ends with it.</p>
      <Link to="/runs" className={buttonStyle()}>
        See the runs
      </Link>
    </Empty>
  )
}

/** How well this machine separates them, and what is missing. */
function Isolation() {
  const { data: status } = useQuery(statusQuery)
  if (!status || status.sandbox.level === 'full') return null
  return <Shortfall sandbox={status.sandbox} />
}

function Shortfall({ sandbox: { level, reasons } }: Pick<SystemStatus, 'sandbox'>) {
  return (
    <div className="mb-4 rounded-xl border border-line bg-surface px-4 py-3">
      <Badge look={levelLook[level]} />
      <ul className="mt-2 flex flex-col gap-1 text-[0.8125rem] text-pretty text-muted">
        {reasons.map((reason) => (
          <li key={reason}>{reason}</li>
        ))}
      </ul>
    </div>
  )
}

function Card({ sandbox }: { sandbox: SandboxView }) {
  const { limits, usage, agentId, runId, taskId } = sandbox
  const nameOf = useAgentNames()
  return (
    <Sheet className="flex h-full flex-col gap-4 p-4">
      <div className="flex flex-wrap items-start justify-between gap-2">
        <div className="min-w-0">
          <h2 className="font-semibold">{agentId === null ? sandbox.id : nameOf(agentId)}</h2>
          <p className="text-[0.8125rem] text-muted">
            {runId === null ? null : (
              <>
                <Link
                  to="/runs/$runId"
                  params={{ runId }}
                  search={taskId === null ? {} : { task: taskId }}
                  className="underline decoration-edge underline-offset-3 hover:text-ink"
                >
                  {runId}
                </Link>
                {', '}
              </>
            )}
            began <Time at={sandbox.startedAt} />, by {sandbox.driver}
            {sandbox.image ? `, in the image ${sandbox.image}` : ''}
          </p>
        </div>
        <End sandbox={sandbox} />
      </div>
      <code className="line-clamp-2 rounded-md bg-sunken px-2.5 py-1.5 wrap-anywhere">
        {sandbox.command.join(' ')}
      </code>
      <div className="grid grid-cols-1 gap-x-6 gap-y-3 sm:grid-cols-2">
        <Meter label="Processor" value={usage?.cpuSeconds ?? null} max={limits.cpuSeconds} text={spanText} />
        <Meter label="Memory" value={usage?.memoryBytes ?? null} max={limits.memoryBytes} text={bytesText} />
        <Meter label="Disk" value={usage?.diskBytes ?? null} max={limits.diskBytes} text={bytesText} />
        <Meter
          label="Processes"
          value={usage?.processes ?? null}
          max={limits.processes}
          text={(count) => String(count)}
        />
      </div>
      <p className="text-xs text-muted">
        Ends by itself after {spanText(limits.wallSeconds)}. Prints {bytesText(limits.outputBytes)} at most,
        no file above {bytesText(limits.fileBytes)}, {limits.openFiles} open ones.
      </p>
    </Sheet>
  )
}

function End({ sandbox: { id } }: { sandbox: SandboxView }) {
  const [asking, setAsking] = useState(false)
  const client = useQueryClient()
  const end = useMutation({
    mutationFn: (reason: string) => call(api.sandboxes.end, { sandboxId: id, reason }),
    onSuccess: () => {
      setAsking(false)
      announce('The sandbox is being ended')
      return client.invalidateQueries({ queryKey: ['sandboxes'] })
    },
  })
  return (
    <>
      <Button size="small" tone="danger" icon={CircleStop} onClick={() => setAsking(true)}>
        End…<span className="sr-only"> the sandbox {id}</span>
      </Button>
      <ReasonDialog
        open={asking}
        onClose={() => setAsking(false)}
        title="End this sandbox?"
        description="Every process in it is killed. Its task fails with your reason, and what it was lent ends."
        action="End it"
        work={end}
      />
    </>
  )
}
