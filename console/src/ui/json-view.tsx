import type { Json } from '@keyward/contract'
import { ScrollRegion } from './scroll-region.tsx'

/** Data as it is, indented. Scrolls within itself and can be reached by keyboard. */
export function JsonView({ value, label }: { value: Json; label: string }) {
  return (
    <ScrollRegion label={label} className="max-h-96 overflow-auto rounded-lg border border-line bg-sunken">
      <pre className="p-3 text-xs leading-relaxed">{JSON.stringify(value, undefined, 2)}</pre>
    </ScrollRegion>
  )
}
