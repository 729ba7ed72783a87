import type { ReactNode } from 'react'

type Props = { label: string; className: string; children: ReactNode }

/** A part that scrolls within itself: named, and reachable by keyboard. */
export function ScrollRegion({ label, className, children }: Props) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: without it the hidden part cannot be reached by keyboard (WCAG 2.1.1)
    <section aria-label={label} tabIndex={0} className={className}>
      {children}
    </section>
  )
}
