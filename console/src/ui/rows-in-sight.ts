import { useWindowVirtualizer } from '@tanstack/react-virtual'
import { type RefObject, useEffect, useState } from 'react'

const readAhead = 20

export type More = {
  hasNextPage: boolean
  isFetchingNextPage: boolean
  fetchNextPage: () => Promise<unknown>
}

/**
 * Which rows of a long list are in sight, the space that stands for the others, and the reading of further pages as the end
 * comes near. Rows whose heights differ are measured by `measure`, by their `data-index`.
 */
export function useRowsInSight(
  body: RefObject<HTMLElement | null>,
  { count, rowHeight }: { count: number; rowHeight: number },
  { hasNextPage, isFetchingNextPage, fetchNextPage }: More,
) {
  const [scrollMargin, setScrollMargin] = useState(0)
  useEffect(() => {
    const top = body.current?.getBoundingClientRect().top ?? 0
    setScrollMargin(top + window.scrollY)
  }, [body])
  const rows = useWindowVirtualizer({ count, estimateSize: () => rowHeight, overscan: 12, scrollMargin })
  const items = rows.getVirtualItems()
  const last = items.at(-1)
  const nearEnd = (last?.index ?? 0) >= count - readAhead
  useEffect(() => {
    if (nearEnd && hasNextPage && !isFetchingNextPage) void fetchNextPage()
  }, [nearEnd, hasNextPage, isFetchingNextPage, fetchNextPage])
  return {
    measure: rows.measureElement,
    shown: items.map(({ index }) => index),
    before: (items[0]?.start ?? scrollMargin) - scrollMargin,
    after: rows.getTotalSize() - ((last?.end ?? scrollMargin) - scrollMargin),
  }
}
