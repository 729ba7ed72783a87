import { Button } from './button.tsx'

type Props = {
  more: { hasNextPage: boolean; isFetchingNextPage: boolean; fetchNextPage: () => Promise<unknown> }
}

export function LoadMore({ more }: Props) {
  if (!more.hasNextPage) return null
  return (
    <div className="mt-4 flex justify-center">
      <Button busy={more.isFetchingNextPage} onClick={() => void more.fetchNextPage()}>
        Show more
      </Button>
    </div>
  )
}
