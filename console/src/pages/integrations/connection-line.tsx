import { api, type ConnectionView } from '@keyward/contract'
import { CircleCheck, CircleDashed, CircleX, RotateCw, Trash2, TriangleAlert } from 'lucide-react'
import { useState } from 'react'
import { call } from '../../api/index.ts'
import { Badge, type Look } from '../../ui/badge.tsx'
import { Button, IconButton } from '../../ui/button.tsx'
import { ConfirmDialog } from '../../ui/confirm-dialog.tsx'
import { Failure } from '../../ui/notice.tsx'
import { Time } from '../../ui/time.tsx'
import { HookDialog } from './hook-dialog.tsx'
import { useConnectionChange } from './use-connection-change.ts'

const looks: Record<'unknown' | 'up' | 'degraded' | 'down', Look> = {
  unknown: { hue: 'calm', icon: CircleDashed, text: 'Not asked yet' },
  up: { hue: 'ok', icon: CircleCheck, text: 'Up' },
  degraded: { hue: 'wait', icon: TriangleAlert, text: 'Degraded' },
  down: { hue: 'bad', icon: CircleX, text: 'Down' },
}

export function ConnectionLine({ connection }: { connection: ConnectionView }) {
  const { id: connectionId, name, connector, secretPath, health } = connection
  const [asking, setAsking] = useState(false)
  const check = useConnectionChange({
    work: () => call(api.connections.check, { connectionId }),
    done: `${name} was asked`,
  })
  const remove = useConnectionChange({
    work: () => call(api.connections.remove, { connectionId }),
    done: `${name} is forgotten`,
    onDone: () => setAsking(false),
  })
  return (
    <li className="px-4 py-3.5">
      <div className="flex flex-wrap items-start justify-between gap-x-4 gap-y-2">
        <div className="min-w-0">
          <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
            <Badge look={looks[health?.state ?? 'unknown']} />
            <h2 className="min-w-0 font-medium break-all">{name}</h2>
            <span className="text-[0.8125rem] text-muted">
              {connection.environment === null ? connector : `${connector}, ${connection.environment}`}
            </span>
          </div>
          {health ? (
            <p className="mt-1 text-[0.8125rem] wrap-anywhere">
              <span className={health.state === 'up' ? '' : 'text-bad'}>{health.detail}</span>
              <span className="text-muted">
                {' · '}in {health.latencyMs} ms, <Time at={health.checkedAt} />
              </span>
            </p>
          ) : null}
          <p className="mt-1 text-[0.8125rem] wrap-anywhere text-muted">
            {secretPath === null ? 'no secret' : secretPath}
            {Object.entries(connection.settings).map(([field, value]) => (
              <span key={field}>
                {' · '}
                {field} {typeof value === 'string' ? value : JSON.stringify(value)}
              </span>
            ))}
          </p>
        </div>
        <div className="flex items-center gap-1.5">
          <Button size="small" icon={RotateCw} busy={check.isPending} onClick={() => check.mutate()}>
            Check now
          </Button>
          {connector === 'github' ? <HookDialog connection={connection} /> : null}
          <IconButton icon={Trash2} label={`Forget ${name}`} onClick={() => setAsking(true)} />
        </div>
      </div>
      {check.error ? (
        <div className="mt-2">
          <Failure error={check.error} />
        </div>
      ) : null}
      <ConfirmDialog
        open={asking}
        onClose={() => setAsking(false)}
        title="Forget the connection?"
        description={`Tasks that name ${name} fail from now on. Its secret stays in the vault.`}
        action="Forget it"
        dismiss="Keep it"
        work={remove}
      />
    </li>
  )
}
