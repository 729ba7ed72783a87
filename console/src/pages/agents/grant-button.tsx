import type { AgentView } from '@keyward/contract'
import { Plus } from 'lucide-react'
import { lazy, Suspense, useState } from 'react'
import { Button } from '../../ui/button.tsx'

const GrantDialog = lazy(async () => ({ default: (await import('./grant-dialog.tsx')).GrantDialog }))

export function GrantButton({ agent }: { agent: AgentView }) {
  const [open, setOpen] = useState(false)
  return (
    <>
      <Button size="small" icon={Plus} onClick={() => setOpen(true)}>
        Grant a secret…
      </Button>
      {open ? (
        <Suspense>
          <GrantDialog agent={agent} onClose={() => setOpen(false)} />
        </Suspense>
      ) : null}
    </>
  )
}
