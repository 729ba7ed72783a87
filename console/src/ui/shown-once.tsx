import { TriangleAlert } from 'lucide-react'
import type { ReactNode } from 'react'
import { Button } from './button.tsx'
import { CopyButton } from './copy.tsx'

type Props = { value: string; label: string; onClose: () => void; children: ReactNode }

/** A value that Keyward cannot show again: what to do with it, itself, and a button that says it is kept. */
export function ShownOnce({ value, label, onClose, children }: Props) {
  return (
    <>
      <p className="flex items-start gap-2.5 rounded-lg bg-wait-wash px-3.5 py-3">
        <TriangleAlert size={17} className="mt-0.5 shrink-0 text-wait" aria-hidden="true" />
        <span className="text-pretty">{children}</span>
      </p>
      <div className="mt-4 flex items-center gap-2 rounded-lg border border-edge bg-sunken py-2 pr-2 pl-3">
        <code className="min-w-0 flex-1 break-all" data-revealed="">
          {value}
        </code>
        <CopyButton text={value} label={label} />
      </div>
      <div className="mt-5 flex justify-end">
        <Button tone="solid" onClick={onClose}>
          I have kept it
        </Button>
      </div>
    </>
  )
}
