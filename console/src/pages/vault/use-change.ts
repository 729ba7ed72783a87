import { type UseMutationResult, useMutation, useQueryClient } from '@tanstack/react-query'
import { announce } from '../../ui/announcer.tsx'

type Change<R> = {
  /** Takes what it sends from where it stands, so that no value lies in a cache. */
  work: () => Promise<R>
  /** Said when it is done. */
  done: string
  onDone?: (result: R) => void
}

/** A change of the vault: says that it is done, and what any page of the vault shows is read again. */
export function useChange<R>({ work, done, onDone }: Change<R>): UseMutationResult<R, Error, void> {
  const client = useQueryClient()
  return useMutation({
    mutationFn: work,
    gcTime: 0,
    onSuccess: (result) => {
      announce(done)
      onDone?.(result)
      return client.invalidateQueries({
        predicate: ({ queryKey }) => ['vault', 'secrets', 'status'].includes(String(queryKey[0])),
      })
    },
  })
}
