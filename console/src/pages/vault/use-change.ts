import { type Change, useAnnouncedChange } from '../../ui/use-announced-change.ts'

/** A change of the vault: what any page of it shows is read again. */
export const useChange = <R>(change: Change<R>) => useAnnouncedChange(change, ['vault', 'secrets', 'status'])
