import type { FolderCount } from '@keyward/contract'
import { useQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import { FileText, Folder } from 'lucide-react'
import { useState } from 'react'
import { foldersQuery } from '../../api/finding-queries.ts'
import { Button } from '../../ui/button.tsx'
import { Failure, Skeleton } from '../../ui/notice.tsx'
import { Sheet } from '../../ui/page.tsx'
import { ScrollRegion } from '../../ui/scroll-region.tsx'

const route = getRouteApi('/findings/trend')
const levels = ['high', 'medium', 'low'] as const
type Level = (typeof levels)[number]

/** Five shades from nothing to the most, in the hue of each confidence. The number always stands in it. */
const shades: Record<Level, readonly string[]> = {
  high: ['', 'bg-bad/10', 'bg-bad/20', 'bg-bad/30', 'bg-bad/40'],
  medium: ['', 'bg-wait/10', 'bg-wait/20', 'bg-wait/30', 'bg-wait/40'],
  low: ['', 'bg-calm/10', 'bg-calm/20', 'bg-calm/30', 'bg-calm/40'],
}
const shownAtFirst = 15

type Props = { project: string | undefined; folder: string }

/** Where open findings stand: a row for each folder, darker where there are more. A number leads to its findings. */
export function FolderMap({ project, folder }: Props) {
  const { data, error, isPending, refetch } = useQuery(foldersQuery(project, folder))
  const [all, setAll] = useState(false)
  if (error) return <Failure error={error} retry={() => void refetch()} />
  if (isPending) return <Skeleton label="Loading the folders" />
  const items = all ? data.items : data.items.slice(0, shownAtFirst)
  const most = Math.max(1, ...data.items.flatMap(({ high, medium, low }) => [high, medium, low]))
  return (
    <>
      <Trail folder={folder} />
      {items.length === 0 ? <p className="text-muted">Nothing stands open here.</p> : null}
      {items.length > 0 ? (
        <Sheet>
          <ScrollRegion label="Open findings by folder and confidence" className="overflow-x-auto">
            <table className="w-full table-fixed tabular-nums">
              <thead>
                <tr className="border-b border-line text-xs text-muted">
                  <th scope="col" className="px-3 py-2 text-left font-normal sm:px-4">
                    Folder or file
                  </th>
                  {[...levels, 'all'].map((name) => (
                    <th key={name} scope="col" className="w-13 px-0.5 py-2 text-center font-normal sm:w-28">
                      {name === 'all' ? 'All' : `${name[0]?.toUpperCase()}${name.slice(1)}`}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {items.map((item) => (
                  <Row key={item.path} item={item} folder={folder} project={project} most={most} />
                ))}
              </tbody>
            </table>
          </ScrollRegion>
        </Sheet>
      ) : null}
      {items.length < data.items.length ? (
        <Button className="mt-3" onClick={() => setAll(true)}>
          Show {data.items.length - items.length} more
        </Button>
      ) : null}
    </>
  )
}

const link = 'underline decoration-edge underline-offset-3 hover:decoration-ink'

/** The folders above, each a way back. */
function Trail({ folder }: { folder: string }) {
  const parts = folder === '' ? [] : folder.split('/')
  if (parts.length === 0) return null
  return (
    <nav aria-label="Folders above" className="mb-2.5 text-[0.8125rem]">
      <ol className="flex flex-wrap items-center gap-1.5">
        <li>
          <Link
            from={route.id}
            search={(kept) => ({ ...kept, folder: undefined })}
            to="/findings/trend"
            className={link}
          >
            Everything
          </Link>
        </li>
        {parts.map((part, i) => {
          const path = parts.slice(0, i + 1).join('/')
          return (
            <li key={path} className="flex items-center gap-1.5">
              <span aria-hidden="true" className="text-muted">
                /
              </span>
              {i === parts.length - 1 ? (
                <span aria-current="true" className="break-all">
                  {part}
                </span>
              ) : (
                <Link
                  from={route.id}
                  to="/findings/trend"
                  search={(kept) => ({ ...kept, folder: path })}
                  className={`${link} break-all`}
                >
                  {part}
                </Link>
              )}
            </li>
          )
        })}
      </ol>
    </nav>
  )
}

type RowProps = { item: FolderCount; folder: string; project: string | undefined; most: number }

function Row({ item, folder, project, most }: RowProps) {
  const name = folder === '' ? item.path : item.path.slice(folder.length + 1)
  const Icon = item.kind === 'folder' ? Folder : FileText
  return (
    <tr className="border-b border-line last:border-b-0">
      <th scope="row" className="px-3 py-1.5 text-left font-normal sm:px-4">
        <span className="flex min-w-0 items-center gap-2">
          <Icon size={15} className="shrink-0 text-muted" aria-hidden="true" />
          {item.kind === 'folder' ? (
            <Link
              from={route.id}
              to="/findings/trend"
              search={(kept) => ({ ...kept, folder: item.path })}
              className={`${link} min-w-0 break-all`}
            >
              {name}
            </Link>
          ) : (
            <span className="min-w-0 break-all">{name}</span>
          )}
        </span>
      </th>
      {levels.map((level) => (
        <td key={level} className="p-0.5">
          <Cell
            count={item[level]}
            shade={shades[level][shadeOf(item[level], most)] ?? ''}
            label={`${item[level]} findings of ${level} confidence in ${item.path}`}
            search={{ path: item.path, project, confidence: level }}
          />
        </td>
      ))}
      <td className="p-0.5">
        <Cell
          count={item.findings}
          shade="font-medium"
          label={`${item.findings} findings in ${item.path}`}
          search={{ path: item.path, project }}
        />
      </td>
    </tr>
  )
}

const shadeOf = (count: number, most: number): number =>
  count === 0 ? 0 : Math.max(1, Math.ceil((4 * Math.log1p(count)) / Math.log1p(most)))

type CellProps = {
  count: number
  shade: string
  label: string
  search: { path: string; project: string | undefined; confidence?: Level }
}

function Cell({ count, shade, label, search }: CellProps) {
  const box = 'flex h-9 items-center justify-center rounded-md'
  if (count === 0) {
    return (
      <span className={`${box} text-muted`}>
        <span aria-hidden="true">·</span>
        <span className="sr-only">none</span>
      </span>
    )
  }
  return (
    <Link
      to="/findings"
      search={search}
      aria-label={label}
      className={`${box} ${shade} hover:outline-2 hover:outline-focus`}
    >
      {count.toLocaleString()}
    </Link>
  )
}
