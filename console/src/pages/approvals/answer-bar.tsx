import type { ApprovalView } from '@keyward/contract'
import { ArrowDown } from 'lucide-react'
import { useEffect, useRef, useState } from 'react'
import { Button } from '../../ui/button.tsx'
import { Countdown } from '../../ui/time.tsx'

/**
 * Below the thumb on a screen where the answer stands under all that would happen: how long there is, and the way there.
 * It goes when the answer itself is in sight.
 */
export function AnswerBar({ approval, children }: { approval: ApprovalView; children: React.ReactNode }) {
  const form = useRef<HTMLDivElement>(null)
  const [inSight, setInSight] = useState(true)
  useEffect(() => {
    const target = form.current
    if (!target) return
    const watching = new IntersectionObserver(([entry]) => setInSight(entry?.isIntersecting ?? true))
    watching.observe(target)
    return () => watching.disconnect()
  }, [])
  const go = (): void => {
    form.current?.scrollIntoView({ block: 'center' })
    form.current?.querySelector<HTMLElement>('textarea')?.focus({ preventScroll: true })
  }
  return (
    <>
      <div ref={form}>{children}</div>
      {inSight ? null : (
        <div className="fixed inset-x-0 bottom-0 z-30 flex items-center justify-between gap-4 border-t border-line bg-surface px-4 pt-3 pb-[max(0.75rem,env(safe-area-inset-bottom))] lg:hidden">
          <p className="text-[0.8125rem]">
            Time left: <Countdown until={approval.expiresAt} />
          </p>
          <Button tone="solid" icon={ArrowDown} onClick={go}>
            To your answer
          </Button>
        </div>
      )}
    </>
  )
}
