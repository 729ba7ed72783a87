import { type UseMutationResult, useMutation, useQueryClient } from '@tanstack/react-query'
import { announce } from '../../ui/announcer.tsx'

type Triage<R> = { work: () => Promise<R>; done: string; onDone?: (result: R) => void }

/** A change of findings or schedules: says that it is done, and what shows them is read again. */
export function useTriage<R>({ work, done, onDone }: Triage<R>): UseMutationResult<R, Error, void> {
  const client = useQueryClient()
  return useMutation({
    mutationFn: work,
    gcTime: 0,
    onSuccess: (result) => {
      announce(done)
      onDone?.(result)
      return client.invalidateQueries({
        predicate: ({ queryKey }) =>
          ['findings', 'schedules', 'scans', 'status'].includes(String(queryKey[0])),
      })
    },
  })
}
