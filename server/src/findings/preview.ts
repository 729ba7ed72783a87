import type { ImportPreview } from '@keyward/contract'
import { AppError, digestOf, formatReference } from '../core/index.ts'
import type { Scanner } from '../scan/index.ts'
import { type FindingRow, findingsById } from './findings-store.ts'
import { importField } from './naming.ts'
import type { FindingsNeeds } from './needs.ts'
import { type PlaceRow, placesOf } from './places-store.ts'
import { type ProjectFile, readProjectFile, sha256 } from './project-file.ts'
import { type Replacement, replaceValues } from './replace.ts'

export type PlannedFile = {
  readonly file: string
  readonly findingIds: readonly string[]
  readonly target: ProjectFile
  readonly after: Buffer
  readonly lines: { line: number; before: string; after: string }[]
}

export type PreparedImport = {
  readonly preview: ImportPreview
  readonly root: string
  readonly files: readonly PlannedFile[]
}

export const referenceOf = (row: Pick<FindingRow, 'secret_path'>): string => {
  const [mount = '', ...names] = row.secret_path.split('/')
  return formatReference({ mount, path: names.join('/'), field: importField })
}

/** Reads the files as they are now, or `only` one of them, and works out what an import would write. Nothing is changed. */
export async function previewImport(
  { store, scanner }: Pick<FindingsNeeds, 'store' | 'scanner'>,
  findingIds: readonly string[],
  only?: string,
): Promise<PreparedImport> {
  const rows = await openFindings(store, findingIds)
  const places = await placesOf(
    store,
    rows.map((row) => row.id),
  )
  const root = rows[0]?.root ?? ''
  // What lies inside an archive has no file of its own to rewrite.
  const inFiles = places.filter((place) => place.commit_id === null && place.wrapping !== 'archive')
  const kept = await scanner()
  const names = [...new Set(inFiles.map((place) => place.file))].sort()
  const files: PlannedFile[] = []
  for (const file of only === undefined ? names : [only]) {
    const planned = await planFile(kept, root, file, rows, inFiles)
    if (planned) files.push(planned)
  }
  const withFiles = new Set(
    inFiles.filter((place) => place.wrapping === 'none').map((place) => place.finding_id),
  )
  const body = {
    project: rows[0]?.project ?? '',
    secrets: rows.map((row) => ({
      findingId: row.id,
      title: row.title,
      masked: row.masked,
      reference: referenceOf(row),
    })),
    files: files.map(({ file, findingIds: ids, target, after, lines }) => ({
      file,
      findingIds: [...ids],
      sha256Before: sha256(target.bytes),
      sha256After: sha256(after),
      lines,
    })),
    historyOnly: rows.filter((row) => !withFiles.has(row.id)).map((row) => row.id),
  }
  return { preview: { ...body, digest: digestOf(body) }, root, files }
}

async function openFindings(
  store: FindingsNeeds['store'],
  findingIds: readonly string[],
): Promise<FindingRow[]> {
  const rows = await findingsById(store, findingIds)
  const missing = findingIds.find((id) => !rows.some((row) => row.id === id))
  if (missing !== undefined) throw new AppError('finding.not_found', `there is no finding '${missing}'`)
  const closed = rows.find(
    (row) => row.state !== 'open' && row.state !== 'restored' && row.state !== 'importing',
  )
  if (closed)
    throw new AppError(
      'finding.state',
      `finding ${closed.id} is ${closed.state}; only an open one can be imported`,
    )
  if (rows.some((row) => row.root !== rows[0]?.root))
    throw new AppError(
      'request.invalid',
      'the findings belong to different projects; import one project at a time',
    )
  return rows
}

/**
 * Every place of the chosen values in one file, found anew; a value that is not there any more refuses the import. Values that
 * were not chosen stay, and are masked in what is shown.
 */
async function planFile(
  scanner: Scanner,
  root: string,
  file: string,
  rows: readonly FindingRow[],
  places: readonly PlaceRow[],
): Promise<PlannedFile | undefined> {
  const target = await readProjectFile(root, file)
  const present = scanner.contents(target.bytes, file)
  const replacements: Replacement[] = []
  const here = rows.filter((row) =>
    places.some((place) => place.finding_id === row.id && place.file === file),
  )
  for (const row of here) {
    const found = present.filter((finding) => finding.fingerprint === row.fingerprint)
    if (found.length === 0)
      throw new AppError(
        'finding.changed',
        `${file} does not hold the value of finding ${row.id} any more. Scan again.`,
      )
    if (found.every(({ place }) => place.wrapping === 'split'))
      throw new AppError(
        'finding.state',
        `${file}, line ${found[0]?.place.line}, holds the value of finding ${row.id} in pieces that the program puts together. Write it as one text and scan again, or replace it by hand.`,
      )
    for (const { place } of found)
      if (place.wrapping === 'none')
        replacements.push({ place, reference: referenceOf(row), masked: row.masked })
  }
  if (replacements.length === 0) return undefined
  const others = present.map(({ place, masked }) => ({ place, masked, reference: undefined }))
  return {
    file,
    findingIds: here.map((row) => row.id),
    target,
    ...replaceValues(target.bytes, replacements, others),
  }
}
