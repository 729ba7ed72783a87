import { type UseMutationResult, useMutation, useQueryClient } from '@tanstack/react-query'
import { announce } from './announcer.tsx'

export type Change<R> = {
  /** Takes what it sends from where it stands, so that no value lies in a cache. */
  work: () => Promise<R>
  /** Said when it is done. */
  done: string
  onDone?: (result: R) => void
}

/** Says that a change is done, and has everything read again whose key begins with one of `shown`. */
export function useAnnouncedChange<R>(
  { work, done, onDone }: Change<R>,
  shown: readonly string[],
): UseMutationResult<R, Error, void> {
  const client = useQueryClient()
  return useMutation({
    mutationFn: work,
    gcTime: 0,
    onSuccess: (result) => {
      announce(done)
      onDone?.(result)
      return client.invalidateQueries({ predicate: ({ queryKey }) => shown.includes(String(queryKey[0])) })
    },
  })
}
