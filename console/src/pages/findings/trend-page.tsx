import { useQuery } from '@tanstack/react-query'
import { getRouteApi } from '@tanstack/react-router'
import { ChartLine } from 'lucide-react'
import { findingCountsQuery, trendQuery } from '../../api/finding-queries.ts'
import { Choice } from '../../ui/field.tsx'
import { Empty, Failure, Skeleton } from '../../ui/notice.tsx'
import { PageHeader, Section } from '../../ui/page.tsx'
import { RoomTabs } from '../../ui/room-tabs.tsx'
import { FolderMap } from './folder-map.tsx'
import { findingRooms } from './rooms.ts'
import { TrendChart } from './trend-chart.tsx'

const route = getRouteApi('/findings/trend')
const spans = [
  ['30', '30 days'],
  ['90', '90 days'],
  ['365', 'a year'],
] as const

export function TrendPage() {
  const { project, days = '30', folder = '' } = route.useSearch()
  const navigate = route.useNavigate()
  const trend = useQuery(trendQuery(project, Number(days)))
  const { data: counts } = useQuery(findingCountsQuery({}))
  const projects = counts?.projects ?? []
  const isEmpty = trend.data?.days.every(({ open, opened }) => open + opened === 0)
  return (
    <>
      <PageHeader
        title="Trend and folders"
        lead="How many secrets stood open on each day, and where they stand now."
      >
        <RoomTabs label="Rooms of the findings" rooms={findingRooms} />
      </PageHeader>
      <div className="mb-5 flex flex-wrap gap-x-5 gap-y-2">
        <Choice
          label="The last"
          value={days}
          options={spans}
          onChange={(span) =>
            void navigate({
              search: (kept) => ({ ...kept, days: span === '30' ? undefined : span }),
              replace: true,
            })
          }
        />
        {projects.length > 1 || project ? (
          <Choice
            label="Project"
            value={project ?? ''}
            options={[['', 'all'], ...projects.map(({ name }) => [name, name] as const)]}
            onChange={(name) =>
              void navigate({
                search: (kept) => ({ ...kept, project: name === '' ? undefined : name, folder: undefined }),
                replace: true,
              })
            }
          />
        ) : null}
      </div>
      {trend.error ? <Failure error={trend.error} retry={() => void trend.refetch()} /> : null}
      {trend.isPending ? <Skeleton label="Loading the trend" /> : null}
      {isEmpty ? (
        <Empty icon={ChartLine} title="Nothing has been found in this time">
          <p>Once a scan has found something, this page shows how it goes on.</p>
        </Empty>
      ) : null}
      {trend.data && !isEmpty ? (
        <>
          <Section title="Open findings by day">
            <TrendChart days={trend.data.days} />
          </Section>
          <Section title="Where they stand">
            <FolderMap project={project} folder={folder} />
          </Section>
        </>
      ) : null}
    </>
  )
}
