//! The structures of parquet.thrift by field id, as far as the reader we use knows them.

use super::shape::Shape::{Any, Binary, Bool, Double, Enum, I8, I16, I32, I64, List, Struct, Text, Union};
use super::shape::{Shape, Structure, may, must};

/// Most schema elements: 4,096 leaf columns and their groups.
const SCHEMA_MAX: usize = 16 * 1024;
/// Most column chunks of a row group.
const COLUMNS_MAX: usize = 4096;
/// Most row groups of a file.
const ROW_GROUPS_MAX: usize = 32 * 1024;
/// Most entries of a list that is a matter of a page or a level: more than a chunk may have pages.
const LIST_MAX: usize = 16 << 20;

const TYPE: &Shape = &Enum(0xff);
const REPETITION: &Shape = &Enum(0b111);
const CONVERTED_TYPE: &Shape = &Enum(0x3f_ffff);
/// 1, `GROUP_VAR_INT`, was never used.
const ENCODING: &Shape = &Enum(0b11_1111_1101);
const CODEC: &Shape = &Enum(0xff);
const PAGE_TYPE: &Shape = &Enum(0b1111);
const HISTOGRAM: &Shape = &List(&I64, LIST_MAX);

/// A member of a union that says all by being there.
const EMPTY: &Shape = &Struct(&Structure { name: "marker", fields: &[] });

const DECIMAL: &Shape =
    &Struct(&Structure { name: "DecimalType", fields: &[must(1, "scale", &I32), must(2, "precision", &I32)] });

const TIME_UNIT: &Shape = &Union(&Structure {
    name: "TimeUnit",
    fields: &[may(1, "MILLIS", EMPTY), may(2, "MICROS", EMPTY), may(3, "NANOS", EMPTY)],
});

const TIME: &Shape =
    &Struct(&Structure { name: "TimeType", fields: &[must(1, "isAdjustedToUTC", &Bool), must(2, "unit", TIME_UNIT)] });

const INTEGER: &Shape =
    &Struct(&Structure { name: "IntType", fields: &[must(1, "bitWidth", &I8), must(2, "isSigned", &Bool)] });

const LOGICAL_TYPE: &Shape = &Union(&Structure {
    name: "LogicalType",
    fields: &[
        may(1, "STRING", EMPTY),
        may(2, "MAP", EMPTY),
        may(3, "LIST", EMPTY),
        may(4, "ENUM", EMPTY),
        may(5, "DECIMAL", DECIMAL),
        may(6, "DATE", EMPTY),
        may(7, "TIME", TIME),
        may(8, "TIMESTAMP", TIME),
        may(10, "INTEGER", INTEGER),
        may(11, "UNKNOWN", EMPTY),
        may(12, "JSON", EMPTY),
        may(13, "BSON", EMPTY),
        may(14, "UUID", EMPTY),
        may(15, "FLOAT16", EMPTY),
        may(
            16,
            "VARIANT",
            &Struct(&Structure { name: "VariantType", fields: &[may(1, "specification_version", &I8)] }),
        ),
        may(17, "GEOMETRY", &Struct(&Structure { name: "GeometryType", fields: &[may(1, "crs", &Text)] })),
        may(
            18,
            "GEOGRAPHY",
            &Struct(&Structure {
                name: "GeographyType",
                fields: &[may(1, "crs", &Text), may(2, "algorithm", &Enum(0b1_1111))],
            }),
        ),
    ],
});

const SCHEMA_ELEMENT: &Shape = &Struct(&Structure {
    name: "SchemaElement",
    fields: &[
        may(1, "type", TYPE),
        may(2, "type_length", &I32),
        may(3, "repetition_type", REPETITION),
        must(4, "name", &Text),
        may(5, "num_children", &I32),
        may(6, "converted_type", CONVERTED_TYPE),
        may(7, "scale", &I32),
        may(8, "precision", &I32),
        may(9, "field_id", &I32),
        may(10, "logicalType", LOGICAL_TYPE),
    ],
});

const STATISTICS: &Shape = &Struct(&Structure {
    name: "Statistics",
    fields: &[
        may(1, "max", &Binary),
        may(2, "min", &Binary),
        may(3, "null_count", &I64),
        may(4, "distinct_count", &I64),
        may(5, "max_value", &Binary),
        may(6, "min_value", &Binary),
        may(7, "is_max_value_exact", &Bool),
        may(8, "is_min_value_exact", &Bool),
        // Newer than our reader, but a number hides nothing.
        may(9, "nan_count", &I64),
    ],
});

const KEY_VALUE: &Shape =
    &Struct(&Structure { name: "KeyValue", fields: &[must(1, "key", &Text), may(2, "value", &Text)] });

const SIZE_STATISTICS: &Shape = &Struct(&Structure {
    name: "SizeStatistics",
    fields: &[
        may(1, "unencoded_byte_array_data_bytes", &I64),
        may(2, "repetition_level_histogram", HISTOGRAM),
        may(3, "definition_level_histogram", HISTOGRAM),
    ],
});

const ENCODING_STATS: &Shape = &Struct(&Structure {
    name: "PageEncodingStats",
    fields: &[must(1, "page_type", PAGE_TYPE), must(2, "encoding", ENCODING), must(3, "count", &I32)],
});

const GEOSPATIAL_STATISTICS: &Shape = &Struct(&Structure {
    name: "GeospatialStatistics",
    fields: &[
        may(
            1,
            "bbox",
            &Struct(&Structure {
                name: "BoundingBox",
                fields: &[
                    must(1, "xmin", &Double),
                    must(2, "xmax", &Double),
                    must(3, "ymin", &Double),
                    must(4, "ymax", &Double),
                    may(5, "zmin", &Double),
                    may(6, "zmax", &Double),
                    may(7, "mmin", &Double),
                    may(8, "mmax", &Double),
                ],
            }),
        ),
        may(2, "geospatial_types", &List(&I32, 1024)),
    ],
});

const COLUMN_METADATA: &Shape = &Struct(&Structure {
    name: "ColumnMetaData",
    fields: &[
        must(1, "type", TYPE),
        must(2, "encodings", &List(ENCODING, 1024)),
        must(3, "path_in_schema", &List(&Text, 64)),
        must(4, "codec", CODEC),
        must(5, "num_values", &I64),
        must(6, "total_uncompressed_size", &I64),
        must(7, "total_compressed_size", &I64),
        // 8, key_value_metadata of a column, is read by nobody.
        must(9, "data_page_offset", &I64),
        may(10, "index_page_offset", &I64),
        may(11, "dictionary_page_offset", &I64),
        may(12, "statistics", STATISTICS),
        may(13, "encoding_stats", &List(ENCODING_STATS, 1024)),
        may(14, "bloom_filter_offset", &I64),
        may(15, "bloom_filter_length", &I32),
        may(16, "size_statistics", SIZE_STATISTICS),
        may(17, "geospatial_statistics", GEOSPATIAL_STATISTICS),
    ],
});

const COLUMN_CHUNK: &Shape = &Struct(&Structure {
    name: "ColumnChunk",
    fields: &[
        may(1, "file_path", &Text),
        must(2, "file_offset", &I64),
        // Only an encrypted column may lack it; the reader says so.
        may(3, "meta_data", COLUMN_METADATA),
        may(4, "offset_index_offset", &I64),
        may(5, "offset_index_length", &I32),
        may(6, "column_index_offset", &I64),
        may(7, "column_index_length", &I32),
    ],
});

const SORTING_COLUMN: &Shape = &Struct(&Structure {
    name: "SortingColumn",
    fields: &[must(1, "column_idx", &I32), must(2, "descending", &Bool), must(3, "nulls_first", &Bool)],
});

const ROW_GROUP: &Shape = &Struct(&Structure {
    name: "RowGroup",
    fields: &[
        must(1, "columns", &List(COLUMN_CHUNK, COLUMNS_MAX)),
        must(2, "total_byte_size", &I64),
        must(3, "num_rows", &I64),
        may(4, "sorting_columns", &List(SORTING_COLUMN, COLUMNS_MAX)),
        may(5, "file_offset", &I64),
        may(6, "total_compressed_size", &I64),
        may(7, "ordinal", &I16),
    ],
});

const COLUMN_ORDER: &Shape = &Union(&Structure {
    name: "ColumnOrder",
    fields: &[may(1, "TYPE_ORDER", EMPTY), may(2, "IEEE_754_TOTAL_ORDER", EMPTY)],
});

/// `FileMetaData`; its fields 8 and 9 say that the file is encrypted or signed.
pub(super) static FILE_METADATA: Structure = Structure {
    name: "FileMetaData",
    fields: &[
        must(1, "version", &I32),
        must(2, "schema", &List(SCHEMA_ELEMENT, SCHEMA_MAX)),
        must(3, "num_rows", &I64),
        must(4, "row_groups", &List(ROW_GROUP, ROW_GROUPS_MAX)),
        may(5, "key_value_metadata", &List(KEY_VALUE, 4096)),
        may(6, "created_by", &Text),
        may(7, "column_orders", &List(COLUMN_ORDER, SCHEMA_MAX)),
        may(8, "encryption_algorithm", &Any),
        may(9, "footer_signing_key_metadata", &Any),
    ],
};

/// `PageHeader`.
pub(super) static PAGE_HEADER: Structure = Structure {
    name: "PageHeader",
    fields: &[
        must(1, "type", PAGE_TYPE),
        must(2, "uncompressed_page_size", &I32),
        must(3, "compressed_page_size", &I32),
        may(4, "crc", &I32),
        may(
            5,
            "data_page_header",
            &Struct(&Structure {
                name: "DataPageHeader",
                fields: &[
                    must(1, "num_values", &I32),
                    must(2, "encoding", ENCODING),
                    must(3, "definition_level_encoding", ENCODING),
                    must(4, "repetition_level_encoding", ENCODING),
                    may(5, "statistics", STATISTICS),
                ],
            }),
        ),
        may(
            7,
            "dictionary_page_header",
            &Struct(&Structure {
                name: "DictionaryPageHeader",
                fields: &[must(1, "num_values", &I32), must(2, "encoding", ENCODING), may(3, "is_sorted", &Bool)],
            }),
        ),
        may(
            8,
            "data_page_header_v2",
            &Struct(&Structure {
                name: "DataPageHeaderV2",
                fields: &[
                    must(1, "num_values", &I32),
                    must(2, "num_nulls", &I32),
                    must(3, "num_rows", &I32),
                    must(4, "encoding", ENCODING),
                    must(5, "definition_levels_byte_length", &I32),
                    must(6, "repetition_levels_byte_length", &I32),
                    may(7, "is_compressed", &Bool),
                    may(8, "statistics", STATISTICS),
                ],
            }),
        ),
    ],
};

/// `ColumnIndex`.
pub(super) static COLUMN_INDEX: Structure = Structure {
    name: "ColumnIndex",
    fields: &[
        must(1, "null_pages", &List(&Bool, LIST_MAX)),
        must(2, "min_values", &List(&Binary, LIST_MAX)),
        must(3, "max_values", &List(&Binary, LIST_MAX)),
        must(4, "boundary_order", &Enum(0b111)),
        may(5, "null_counts", HISTOGRAM),
        may(6, "repetition_level_histograms", HISTOGRAM),
        may(7, "definition_level_histograms", HISTOGRAM),
        // As with `Statistics`.
        may(8, "nan_counts", HISTOGRAM),
    ],
};

/// `OffsetIndex`.
pub(super) static OFFSET_INDEX: Structure = Structure {
    name: "OffsetIndex",
    fields: &[
        must(
            1,
            "page_locations",
            &List(
                &Struct(&Structure {
                    name: "PageLocation",
                    fields: &[
                        must(1, "offset", &I64),
                        must(2, "compressed_page_size", &I32),
                        must(3, "first_row_index", &I64),
                    ],
                }),
                LIST_MAX,
            ),
        ),
        may(2, "unencoded_byte_array_data_bytes", HISTOGRAM),
    ],
};

/// `BloomFilterHeader`.
pub(super) static BLOOM_FILTER_HEADER: Structure = Structure {
    name: "BloomFilterHeader",
    fields: &[
        must(1, "numBytes", &I32),
        must(2, "algorithm", &Union(&Structure { name: "BloomFilterAlgorithm", fields: &[may(1, "BLOCK", EMPTY)] })),
        must(3, "hash", &Union(&Structure { name: "BloomFilterHash", fields: &[may(1, "XXHASH", EMPTY)] })),
        must(
            4,
            "compression",
            &Union(&Structure { name: "BloomFilterCompression", fields: &[may(1, "UNCOMPRESSED", EMPTY)] }),
        ),
    ],
};
